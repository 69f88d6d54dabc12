// Controls of the theme whose label for screen readers leaves out the text that they show: it becomes a part of the name.
window.addEventListener("load", () => {
  for (const control of document.querySelectorAll("summary[aria-label], button[aria-label]")) {
    if (control.textContent.trim()) control.removeAttribute("aria-label");
  }
  for (const button of document.querySelectorAll(".theme-switch-button")) {
    const icons = [...button.querySelectorAll("[title], title")].map((icon) => icon.title || icon.textContent);
    button.setAttribute("aria-label", ["Color mode:", ...icons].join(" "));
  }
});
