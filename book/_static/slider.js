// A threshold over two histograms, and what an attack by it finds. Without this script a table stands there.
document.addEventListener("DOMContentLoaded", () => {
  const svg = (name, attributes, text = "") => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  };
  const html = (name, attributes, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const [left, top, width, height] = [44, 26, 346, 150];

  document.querySelectorAll(".mialib-slider").forEach((place, number) => {
    const sides = { members: JSON.parse(place.dataset.members), others: JSON.parse(place.dataset.others) };
    const label = place.dataset.label;
    const bins = sides.members.length;
    const highest = Math.max(...sides.members, ...sides.others);
    const x = (value) => left + width * value;
    const y = (share) => top + height * (1 - share / highest);

    const picture = svg("svg", { viewBox: "0 0 400 222", role: "img", "aria-label": `Histograms of members and non-members by the ${label}` });
    const bars = [];
    for (const [side, shares] of Object.entries(sides)) {
      shares.forEach((share, i) => {
        const of = { x: x(i / bins), y: y(share), width: width / bins, height: top + height - y(share) };
        bars.push([i, picture.appendChild(svg("rect", { ...of, class: `mialib-bin mialib-${side}` }))]);
      });
    }
    picture.append(svg("path", { d: `M${left},${top} V${top + height} H${left + width}`, class: "mialib-axes" }));
    for (const tick of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
      picture.append(svg("text", { x: x(tick), y: top + height + 16, "text-anchor": "middle" }, tick.toFixed(1)));
    }
    for (const tick of [0, highest / 2, highest]) {
      picture.append(svg("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, tick.toFixed(2)));
    }
    picture.append(svg("text", { x: left + width / 2, y: 216, "text-anchor": "middle" }, label));
    [["members", "members", 60], ["others", "non-members", 160]].forEach(([side, name, at]) => {
      picture.append(svg("rect", { x: at, y: 5, width: 16, height: 11, class: `mialib-bin mialib-${side}` }));
      picture.append(svg("text", { x: at + 22, y: 15 }, name));
    });
    picture.append(svg("text", { x: 395, y: 15, "text-anchor": "end" }, "share of records"));
    const line = picture.appendChild(svg("line", { y1: top - 4, y2: top + height, class: "mialib-threshold" }));

    const id = `mialib-threshold-${number}`;
    const input = html("input", { type: "range", id, min: 0, max: bins, step: 1, value: bins / 2 });
    const shown = html("span", { class: "mialib-value" });
    const control = html("p", { class: "mialib-control" },
      html("label", { for: id }, "Call a record a member from a threshold of ", shown), input);
    const values = {};
    const found = html("dl", { "aria-live": "polite" });
    for (const name of ["recall", "false positive rate", "precision", "accuracy"]) {
      values[name] = html("dd", { "data-quantity": name });
      found.append(html("div", {}, html("dt", {}, name), values[name]));
    }

    const sum = (shares, first) => shares.slice(first).reduce((total, share) => total + share, 0);
    const move = () => {
      const first = Number(input.value);
      const [recall, fpr] = [sum(sides.members, first), sum(sides.others, first)];
      const numbers = {
        recall,
        "false positive rate": fpr,
        precision: recall / (recall + fpr),
        accuracy: (recall + 1 - fpr) / 2,
      };
      for (const [name, value] of Object.entries(numbers)) {
        values[name].textContent = Number.isNaN(value) ? "–" : value.toFixed(3);
      }
      shown.textContent = (first / bins).toFixed(2);
      input.setAttribute("aria-valuetext", shown.textContent);
      line.setAttribute("x1", x(first / bins));
      line.setAttribute("x2", x(first / bins));
      for (const [i, bar] of bars) bar.classList.toggle("mialib-below", i < first);
    };
    input.addEventListener("input", move);
    place.replaceChildren(picture, control, found);
    move();
  });
});
