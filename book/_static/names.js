// Controls of the theme whose label for screen readers leaves out the text that they show: the text is their name.
window.addEventListener("load", () => {
  for (const control of document.querySelectorAll("summary[aria-label], button[aria-label]")) {
    if (control.textContent.trim()) {
      control.removeAttribute("aria-label");
    }
  }
});
