// The values under the pointer, in the legend. The page is whole without it.
const forms = {
  percent: value => (100 * value).toFixed(1) + " %",
  bytes: value => value >= 1e9 ? (value / 1e9).toPrecision(4) + " GB" : (value / 1e6).toPrecision(4) + " MB",
  plain: value => Math.abs(value) >= 1e4 ? (value / 1e3).toPrecision(4) + "k" : String(Number(value.toPrecision(4))),
};
const numbers = text => text.split(" ").map(Number);
for (const figure of document.querySelectorAll("figure")) {
  const plot = figure.querySelector(".plot");
  const [left, top, right, bottom] = numbers(plot.dataset.frame);
  const [low, high] = numbers(plot.dataset.x);
  const [least, most] = numbers(plot.dataset.y);
  const form = forms[plot.dataset.unit];
  const at = figure.querySelector(".at");
  const slots = [...figure.querySelectorAll(".legend b")];
  const atEnd = slots.map(slot => slot.textContent);
  const lines = [...plot.querySelectorAll(".series")].map(series => {
    const marks = series.firstChild.querySelectorAll("polyline, circle");
    return [...marks].flatMap(mark => mark.localName === "circle"
      ? [[Number(mark.getAttribute("cx")), Number(mark.getAttribute("cy"))]]
      : mark.getAttribute("points").split(" ").map(pair => pair.split(",").map(Number)));
  });
  const cursor = document.createElementNS(plot.namespaceURI, "line");
  cursor.setAttribute("class", "cursor");
  const show = event => {
    const x = new DOMPoint(event.clientX, event.clientY).matrixTransform(plot.getScreenCTM().inverse()).x;
    const nearest = lines.map(points => points.reduce((best, point) =>
      best !== null ? (Math.abs(best[0] - x) > Math.abs(point[0] - x) ? point : best) : point, null));
    const found = nearest.filter(Boolean);
    if (found.length === 0) return;
    const place = found.reduce((best, point) => Math.abs(best[0] - x) > Math.abs(point[0] - x) ? point : best)[0];
    const step = Math.round(low + (place - left) / (right - left) * (high - low));
    nearest.forEach((point, index) => {
      slots[index].textContent = point ? form(least + (bottom - point[1]) / (bottom - top) * (most - least)) : "";
    });
    at.textContent = "at step " + step.toLocaleString("en");
    Object.entries({ x1: place, x2: place, y1: top, y2: bottom }).forEach(([name, value]) => cursor.setAttribute(name, value));
    plot.append(cursor);
  };
  const leave = () => {
    slots.forEach((slot, index) => { slot.textContent = atEnd[index]; });
    at.textContent = at.dataset.end;
    cursor.remove();
  };
  plot.addEventListener("pointermove", show);
  plot.addEventListener("pointerdown", show);
  plot.addEventListener("pointerleave", leave);
}
