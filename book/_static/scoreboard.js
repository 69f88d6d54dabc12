// The scoreboard: chips that filter its rows, and addresses that press chips or open a row.
document.addEventListener("DOMContentLoaded", () => {
  const board = document.querySelector(".mialib-board");
  if (!board) return;
  const rows = [...board.querySelectorAll(".mialib-row")];
  const chips = [...board.querySelectorAll("button[data-group]")];
  const groups = [...new Set(chips.map((chip) => chip.dataset.group))];
  const [clear, open] = ["clear", "open"].map((does) => board.querySelector(`[data-does=${does}]`));
  const chapters = [...board.querySelectorAll(".mialib-chapter")];

  const isPressed = (chip) => chip.getAttribute("aria-pressed") === "true";
  const press = (chip, on) => chip.setAttribute("aria-pressed", on);
  const has = (row, chip) => row.dataset[chip.dataset.group].split("|").includes(chip.dataset.value);
  const claims = (n) => `${n} claim${n === 1 ? "" : "s"}`;
  const openAll = (on) => {
    for (const chapter of chapters) chapter.open = on;
    open.textContent = on ? "close all" : "open all";
  };

  const show = () => {
    const pressed = chips.filter(isPressed);
    for (const row of rows) {
      // Within a group any pressed chip will do; all groups must.
      const missed = groups.filter((group) => {
        const any = pressed.filter((chip) => chip.dataset.group === group);
        return any.length && !any.some((chip) => has(row, chip));
      });
      row.hidden = missed.length > 0;
      row.missed = missed.join();
    }
    // A chip counts what it would show: the rows that miss no other group.
    for (const chip of chips) {
      const fits = (row) => ["", chip.dataset.group].includes(row.missed) && has(row, chip);
      chip.querySelector("b").textContent = rows.filter(fits).length;
    }
    for (const chapter of chapters) {
      const all = [...chapter.querySelectorAll(".mialib-row")];
      const n = all.filter((row) => !row.hidden).length;
      chapter.parentElement.hidden = !n;
      chapter.querySelector(".n").textContent = (n < all.length ? `${n} of ` : "") + claims(all.length);
    }
    clear.hidden = !pressed.length;
    openAll(!clear.hidden);
    board.querySelector("[role=status]").textContent =
      `${rows.filter((row) => !row.hidden).length} of ${claims(rows.length)}`;
  };
  const clearAll = () => {
    chips.forEach((chip) => press(chip, false));
    show();
  };
  const follow = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target || !board.contains(target)) return;
    if (target.closest("[hidden]")) clearAll();
    for (let of = target.closest("details"); of; of = of.parentElement.closest("details")) of.open = true;
    target.scrollIntoView();
  };

  for (const chip of chips) {
    chip.onclick = () => {
      press(chip, !isPressed(chip));
      show();
    };
  }
  clear.onclick = () => {
    clearAll();
    chips[0].focus();
  };
  open.onclick = () => openAll(open.textContent === "open all");
  board.querySelector(".mialib-filters").hidden = open.hidden = false;
  const asked = new URLSearchParams(location.search);
  for (const chip of chips.filter((of) => asked.getAll(of.dataset.group).includes(of.dataset.value))) {
    press(chip, true);
    const folded = chip.closest("details");
    if (folded) folded.open = true;
  }
  show();
  follow();
  addEventListener("hashchange", follow);
});
