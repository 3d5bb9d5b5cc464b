"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const pointer = matchMedia("(pointer: fine)").matches;
  const hidden = {};

  const theme = () => {
    const style = getComputedStyle(document.documentElement);
    const read = name => style.getPropertyValue(`--${name}`).trim();
    return {"@ink": read("ink"), "@muted": read("muted"), "@line": read("line"), "@paper": read("paper"), "@mid": read("mid")};
  };
  // Figures name the colours of the theme; everything else in them is drawn as it is.
  const dress = (value, colours) => {
    if (typeof value === "string") return colours[value] ?? value;
    if (Array.isArray(value)) return value.map(item => dress(item, colours));
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, dress(item, colours)]));
    return value;
  };
  const draw = id => {
    const colours = theme();
    const chart = id.slice(0, id.lastIndexOf("-"));
    const off = hidden[chart] ?? new Set();
    const figure = dress(figures[id], colours);
    for (const trace of figure.data) trace.visible = !off.has(trace.legendgroup);
    const font = {family: getComputedStyle(document.body).fontFamily, size: 12, color: colours["@muted"]};
    Object.assign(figure.layout, {
      font, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true,
      dragmode: pointer ? "zoom" : false,
      hoverlabel: {bgcolor: colours["@paper"], bordercolor: colours["@muted"], align: "left", font: {...font, color: colours["@ink"]}},
    });
    return Plotly.react(id, figure.data, figure.layout, {responsive: true, displayModeBar: false, displaylogo: false, showTips: false});
  };
  const drawAll = () => Promise.all(Object.keys(figures).map(draw));

  drawAll().then(() => document.documentElement.setAttribute("data-drawn", "true"));
  dark.addEventListener("change", drawAll);

  for (const button of document.querySelectorAll(".keys button")) {
    button.addEventListener("click", () => {
      const chart = button.dataset.chart;
      const off = (hidden[chart] ??= new Set());
      const shown = off.delete(button.dataset.key);
      if (!shown) off.add(button.dataset.key);
      button.setAttribute("aria-pressed", String(shown));
      Object.keys(figures).filter(id => id.slice(0, id.lastIndexOf("-")) === chart).forEach(draw);
    });
  }

  // On paper every table is open and every chart has the colours of paper.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach(item => { item.open = true; });
    document.documentElement.classList.add("printing");
    drawAll();
  });
  addEventListener("afterprint", () => {
    opened.forEach(item => { item.open = false; });
    document.documentElement.classList.remove("printing");
    drawAll();
  });

  const links = new Map([...document.querySelectorAll(".contents a")].map(link => [link.hash.slice(1), link]));
  const mark = () => {
    let current = null;
    for (const id of links.keys()) {
      if (document.getElementById(id).getBoundingClientRect().top < innerHeight / 3) current = id;
    }
    for (const [id, link] of links) {
      if (id === current) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
    }
  };
  addEventListener("scroll", mark, {passive: true});
  mark();
})();
