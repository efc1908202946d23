// Draws every plot of the page, in the page's colours, and again when those change.
"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const boxes = document.querySelectorAll("[data-plot]");
  // A drag zooms and a double click shows all again; on a touch screen a drag scrolls the page.
  const dragmode = matchMedia("(pointer: coarse)").matches ? false : "zoom";
  const options = { responsive: true, displayModeBar: false };

  const template = () => {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const side = {
      gridcolor: colour("--line"),
      linecolor: colour("--line"),
      title: { font: { size: 12, color: colour("--quiet") } },
    };
    const axis = { ...side, zerolinecolor: colour("--line"), automargin: true };
    return {
      layout: {
        font: { family: colour("--font"), size: 12, color: colour("--ink") },
        paper_bgcolor: colour("--card"),
        plot_bgcolor: colour("--card"),
        xaxis: axis,
        yaxis: axis,
        ternary: { bgcolor: colour("--card"), aaxis: side, baxis: side, caxis: side },
        annotationdefaults: { bgcolor: colour("--card"), borderpad: 0 },
        hoverlabel: { font: { family: colour("--font") } },
      },
    };
  };

  const draw = () => {
    const colours = template();
    for (const box of boxes) {
      const { data, layout } = figures[Number(box.dataset.plot)];
      Plotly.react(box, data, { ...layout, dragmode, template: colours }, options);
    }
  };

  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
