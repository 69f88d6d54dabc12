// Two menus above the table of all claims: by chapter, and by the verdict of the first column of runs.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll(".mialib-claims table")) {
    const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
    const chapter = heads.indexOf("chapter");
    const first = heads.indexOf("paper") + 1;
    const rows = [...table.tBodies[0].rows];
    const verdict = (row) => row.cells[first].textContent.split(": ").pop();
    const menu = (label, values) => {
      const select = document.createElement("select");
      select.setAttribute("aria-label", label);
      select.append(new Option(label, ""), ...values.map((value) => new Option(value, value)));
      return select;
    };
    const chapters = menu("all chapters", [...new Set(rows.map((row) => row.cells[chapter].textContent))]);
    const outcomes = menu("all verdicts", ["reproduced", "not reproduced", "undecided", "not testable here"]);
    const count = document.createElement("span");
    const show = () => {
      let shown = 0;
      for (const row of rows) {
        const fits = (!chapters.value || row.cells[chapter].textContent === chapters.value)
          && (!outcomes.value || verdict(row).startsWith(outcomes.value));
        row.hidden = !fits;
        shown += fits;
      }
      count.textContent = ` ${shown} claims`;
    };
    chapters.onchange = outcomes.onchange = show;
    const bar = document.createElement("p");
    bar.className = "mialib-menus";
    bar.append(chapters, " ", outcomes, count);
    table.parentElement.prepend(bar);
    show();
  }
});
