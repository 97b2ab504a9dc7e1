"use strict";
// Adds to a page that is whole without it: values under the pointer, and tables sorted by a click on a heading.
const HOUR = 3600000;
const text = (value, decimals) =>
  value === null ? "unknown" : value.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }).replace("-", "\u2212");

for (const plot of document.querySelectorAll(".plot")) {
  const points = JSON.parse(plot.querySelector("script").textContent);
  const times = points.t;
  if (!times.length) continue;
  const keys = plot.parentNode.querySelector(".keys");
  const names = keys ? [...keys.children].map((key) => key.textContent) : [""];
  const { start, hours, unit, decimals } = plot.dataset;
  const area = plot.querySelector(".xy");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  line.setAttribute("class", "cursor");
  line.setAttribute("y2", area.querySelector("svg").getAttribute("height"));
  const tip = plot.appendChild(document.createElement("div"));
  tip.className = "tip";
  tip.hidden = true;
  let shown = -1;

  const show = (n) => {
    shown = n;
    const share = times[n] / hours;
    line.setAttribute("x1", `${share * 100}%`);
    line.setAttribute("x2", `${share * 100}%`);
    area.append(line);
    const head = document.createElement("b");
    head.textContent = points.n ? points.n[n] : `${new Date(Number(start) + times[n] * HOUR).toISOString().slice(0, 16).replace("T", " ")} UTC`;
    const rows = points.v.map((values, k) => {
      const row = document.createElement("div");
      row.textContent = `${names[k] ? `${names[k]}: ` : ""}${text(values[n], Number(decimals))} ${unit}`;
      return row;
    });
    tip.replaceChildren(head, ...rows);
    tip.hidden = false;
    const left = area.getBoundingClientRect().left - plot.getBoundingClientRect().left;
    const at = left + share * area.clientWidth;
    const x = share < 0.5 ? at + 10 : at - 10 - tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(plot.clientWidth - tip.offsetWidth, x))}px`;
  };
  const hide = () => {
    tip.hidden = true;
    line.remove();
    shown = -1;
  };
  const nearest = (hour) => {
    let low = 0;
    let high = times.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] < hour) low = middle + 1;
      else high = middle;
    }
    return low > 0 && hour - times[low - 1] < times[low] - hour ? low - 1 : low;
  };
  area.setAttribute("tabindex", "0");
  const point = (event) => {
    const box = area.getBoundingClientRect();
    show(nearest(((event.clientX - box.left) / box.width) * hours));
  };
  plot.addEventListener("pointermove", point);
  plot.addEventListener("pointerdown", point);
  plot.addEventListener("pointerleave", hide);
  area.addEventListener("blur", hide);
  area.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    show(Math.max(0, Math.min(times.length - 1, shown < 0 ? (step > 0 ? 0 : times.length - 1) : shown + step)));
  });
}

const figure = (cell) => {
  const value = Number(cell.replace(/,/g, "").replace("\u2212", "-"));
  return cell === "" || Number.isNaN(value) ? null : value;
};

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const figures = head.classList.contains("n");
      const now = head.getAttribute("aria-sort");
      const down = now ? now === "ascending" : figures;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const order = down ? -1 : 1;
      const rows = [...body.rows].map((row) => {
        const cell = row.cells[column].textContent;
        return { row, value: figures ? figure(cell) : cell };
      });
      rows.sort((a, b) => {
        if (a.value === null || b.value === null) return (a.value === null) - (b.value === null);
        return order * (figures ? a.value - b.value : a.value < b.value ? -1 : a.value > b.value ? 1 : 0);
      });
      body.append(...rows.map(({ row }) => row));
    });
  });
}
