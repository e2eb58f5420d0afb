"use strict";
// Everything is readable without this script. It sorts and filters tables, folds the runs of a row
// away, and highlights a curve, with all that belongs to it, where it is pointed at.

const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];

for (const table of all("table.ranking")) {
  const rows = () => all(":scope > tbody", table);

  for (const button of all("button.unfold", table)) {
    const runs = button.closest("tbody").querySelector("tr.runs");
    const show = (open) => {
      runs.hidden = !open;
      button.setAttribute("aria-expanded", String(open));
    };
    show(false);
    button.addEventListener("click", () => show(runs.hidden));
  }

  const heads = all(":scope > thead th", table);
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const descends = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((one) => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", descends ? "descending" : "ascending");
      const value = (row) => row.rows[0].cells[column].dataset.value ?? row.rows[0].cells[column].textContent;
      const compare = (a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === "" || y === "") return (x === "") - (y === ""); // without a value: last
        const isNumber = !Number.isNaN(Number(x)) && !Number.isNaN(Number(y));
        const order = isNumber ? Number(x) - Number(y) : x.localeCompare(y, "en", { numeric: true });
        return descends ? -order : order;
      };
      table.append(...rows().sort(compare));
    });
  });
}

for (const box of all("input[type=search]")) {
  const place = box.closest("section");
  const count = place.querySelector(".count");
  const bodies = all("table.ranking > tbody", place);
  const curves = all(".curve[data-key]", place);
  const filter = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = new Set();
    for (const body of bodies) {
      const fits = words.every((word) => body.dataset.text.includes(word));
      body.hidden = !fits;
      if (fits) shown.add(body.dataset.key);
    }
    curves.forEach((one) => one.classList.toggle("off", !shown.has(one.dataset.key)));
    count.textContent = words.length ? `${shown.size} of ${bodies.length}` : "";
  };
  box.addEventListener("input", filter);
}

const tip = document.querySelector(".tip");
const point = (key, place) => {
  if (place.dataset.pointed === key) return;
  place.dataset.pointed = key;
  place.classList.toggle("pointing", key !== "");
  all("[data-key]", place).forEach((one) => {
    const on = key !== "" && one.dataset.key === key;
    (one.tagName === "TBODY" ? one.rows[0] : one).classList.toggle("on", on);
  });
};
for (const place of all("section")) {
  if (!place.querySelector(".curve[data-key]")) continue;
  place.addEventListener("pointermove", (event) => {
    const one = event.target.closest("[data-key]");
    point(one ? one.dataset.key : "", place);
    const note = one?.dataset.note;
    tip.hidden = !note;
    if (!note) return;
    tip.textContent = note;
    const right = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    tip.style.left = `${Math.max(8, right)}px`;
    const below = event.clientY + 18 + tip.offsetHeight < innerHeight;
    tip.style.top = `${below ? event.clientY + 18 : event.clientY - tip.offsetHeight - 12}px`;
  });
  place.addEventListener("pointerleave", () => {
    point("", place);
    tip.hidden = true;
  });
}

// On paper everything is unfolded.
const unfolded = [];
addEventListener("beforeprint", () => {
  for (const one of all("details:not([open])")) {
    one.open = true;
    unfolded.push(one);
  }
});
addEventListener("afterprint", () => {
  while (unfolded.length) unfolded.pop().open = false;
});
