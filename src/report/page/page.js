// What a script can add to a page that is whole without one: readouts of points, sorting, copying.
"use strict";
(() => {
  const [names, ...cells] = JSON.parse(document.getElementById("readouts").textContent);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, attributes = {}, text = "") => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.textContent = text;
    return node;
  };
  const live = document.getElementById("live");
  const shown = (node) => node.getClientRects().length > 0;

  // Readouts: one box, filled from the cell that a point or a bar tells of.
  const tip = make("div", { class: "tip", hidden: "" });
  document.body.append(tip);
  let lit = [];
  const hide = () => {
    tip.hidden = true;
    for (const undo of lit) undo();
    lit = [];
  };
  const light = (node, name) => {
    node.classList.add(name);
    lit.push(() => node.classList.remove(name));
  };
  const strategyOf = (node) => [...node.closest("[class*=s]").classList].find((c) => /^s\d+$/.test(c));
  const show = (node) => {
    hide();
    const [, , [name, load, ...lines]] = cells[node.dataset.c];
    const list = make("dl");
    lines.forEach((line, i) => list.append(make("dt", {}, names[i]), make("dd", {}, line)));
    tip.replaceChildren(make("b", {}, name), ` at ${load}`, list);
    tip.hidden = false;
    const mark = node.querySelector("use") ?? node;
    light(mark, "on");
    const at = mark.getBoundingClientRect();
    const box = tip.getBoundingClientRect();
    const left = at.right + 12 + box.width > innerWidth ? at.left - 12 - box.width : at.right + 12;
    tip.style.left = `${Math.min(Math.max(8, left), Math.max(8, innerWidth - box.width - 8))}px`;
    let top = at.top + at.height / 2 - box.height / 2;
    // Where there is no room beside the point, the box goes above or below it.
    if (left < 8) top = at.top - box.height - 12 > 0 ? at.top - box.height - 12 : at.bottom + 12;
    tip.style.top = `${Math.min(Math.max(8, top), innerHeight - box.height - 8)}px`;
    const group = node.closest(".plot g");
    const chart = node.closest(".chart:not(.bare)");
    if (group && chart) {
      light(chart, "hush");
      const own = strategyOf(group);
      for (const g of all(`g.${own}`, chart)) light(g, "hot");
    }
    return `${name} at ${load}: ${lines.map((line, i) => `${names[i]} ${line}`).join("; ")}`;
  };
  const select = (node) => {
    const [threads, keys] = cells[node.dataset.c];
    for (const id of [`t${threads}`, `k${keys}`]) document.getElementById(id)?.click();
  };

  for (const plot of all(".plot")) {
    const points = () => all("[data-c]", plot).filter(shown);
    if (!plot.querySelector("[data-c]")) continue;
    plot.setAttribute("role", "application");
    plot.setAttribute("aria-roledescription", "chart");
    plot.setAttribute("aria-label", `${plot.getAttribute("aria-label")} Arrow keys read its points, Enter selects a load, Escape leaves.`);
    plot.tabIndex = 0;
    const centre = (node) => {
      const box = (node.querySelector("use") ?? node).getBoundingClientRect();
      return [box.left + box.width / 2, box.top + box.height / 2];
    };
    const nearest = (x, y) => {
      let best = null, least = 60;
      for (const node of points()) {
        const [px, py] = centre(node);
        const far = Math.hypot(px - x, py - y);
        if (far < least) [best, least] = [node, far];
      }
      return best;
    };
    let current = null;
    const point = (node, speak) => {
      current = node;
      const said = show(node);
      if (speak) live.textContent = said;
    };
    plot.addEventListener("pointermove", (event) => {
      const node = nearest(event.clientX, event.clientY);
      if (node) point(node, false); else hide();
    });
    plot.addEventListener("pointerleave", hide);
    plot.addEventListener("click", (event) => {
      const node = nearest(event.clientX, event.clientY);
      if (node) { select(node); if (shown(node)) point(node, false); }
    });
    plot.addEventListener("blur", hide);
    plot.addEventListener("keydown", (event) => {
      const list = points();
      if (!list.length) return;
      if (event.key === "Escape") { hide(); current = null; return; }
      if (event.key === "Enter" || event.key === " ") {
        if (current && shown(current)) select(current);
        event.preventDefault();
        return;
      }
      if (!["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) return;
      event.preventDefault();
      if (!current || !list.includes(current)) { point(list[0], true); return; }
      const group = current.closest("g");
      const along = list.filter((node) => node.closest("g") === group);
      const i = along.indexOf(current);
      if (event.key === "ArrowRight") point(along[Math.min(i + 1, along.length - 1)], true);
      else if (event.key === "ArrowLeft") point(along[Math.max(i - 1, 0)], true);
      else if (event.key === "Home") point(along[0], true);
      else if (event.key === "End") point(along[along.length - 1], true);
      else {
        // The next point above or below in the same column.
        const [x, y] = centre(current);
        const column = list.filter((node) => Math.abs(centre(node)[0] - x) < 2).sort((a, b) => centre(b)[1] - centre(a)[1] || list.indexOf(a) - list.indexOf(b));
        const at = column.indexOf(current) + (event.key === "ArrowUp" ? 1 : -1);
        point(column[Math.min(Math.max(at, 0), column.length - 1)], true);
      }
    });
  }
  for (const bar of all(".bar[data-c], td[data-c]")) {
    bar.addEventListener("pointerenter", () => show(bar));
    bar.addEventListener("pointerleave", hide);
  }
  addEventListener("scroll", hide, { passive: true });
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    hide();
    for (const menu of all("details.who[open]")) { menu.open = false; menu.querySelector("summary").focus(); }
  });
  addEventListener("pointerdown", (event) => {
    for (const menu of all("details.who[open]")) if (!menu.contains(event.target)) menu.open = false;
  });

  // Which strategies: all, none, or one kind at a click.
  const boxes = all(".who input");
  const quick = document.querySelector(".quick");
  const choices = [["all", () => true], ["none", () => false]];
  if (boxes.some((box) => box.closest(".lossy"))) {
    choices.push(["exact only", (box) => !!box.closest(".exact")], ["lossy only", (box) => !!box.closest(".lossy")]);
  }
  for (const [text, wanted] of choices) {
    const button = make("button", { type: "button" }, text);
    button.addEventListener("click", () => {
      for (const box of boxes) box.checked = wanted(box);
      count();
    });
    quick?.append(button);
  }
  const summary = document.querySelector(".who summary");
  const count = () => {
    if (!summary) return;
    const on = boxes.filter((box) => box.checked).length;
    summary.textContent = `Strategies (${on} of ${boxes.length})`;
  };
  for (const box of boxes) box.addEventListener("change", count);
  count();

  // Tables: sorted by a click on a head, copied as they are seen.
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.v ?? cell.textContent.trim();
    const number = Number(text);
    return text === "" || Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) => {
    // What is missing comes last either way.
    if (typeof a === typeof b) return typeof a === "number" ? a - b : a.localeCompare(b);
    return typeof a === "number" ? -1 : 1;
  };
  for (const table of all("table.sortable")) {
    const heads = all("thead th", table);
    heads.forEach((head, column) => {
      if (head.classList.contains("nosort")) return;
      const button = make("button", { type: "button" }, head.textContent);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.classList.contains("n") ? head.getAttribute("aria-sort") !== "descending" : head.getAttribute("aria-sort") === "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const body = table.tBodies[0];
        const rows = [...body.rows].map((row) => [valueOf(row, column), row]);
        rows.sort(([a], [b]) => compare(a, b) * (down && typeof a === typeof b ? -1 : 1));
        body.append(...rows.map(([, row]) => row));
      });
    });
    const grid = (plain) => {
      const use = heads.map((head, i) => [head, i]).filter(([head]) => !head.classList.contains("nosort")).map(([, i]) => i);
      const rows = [...table.tBodies[0].rows].filter(shown);
      const text = (cell) => (plain && cell.dataset.v !== undefined ? cell.dataset.v : cell.innerText.trim().replace(/\s+/g, " "));
      return [use.map((i) => heads[i].textContent), ...rows.map((row) => use.map((i) => text(row.cells[i])))];
    };
    const markdown = () => {
      const [first, ...rest] = grid(false).map((row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`);
      const rule = `|${heads.filter((h) => !h.classList.contains("nosort")).map((h) => (h.classList.contains("n") ? "---:" : "---")).join("|")}|`;
      return [first, rule, ...rest].join("\n") + "\n";
    };
    // Text that a spreadsheet would take for a formula goes behind an apostrophe, as in the result files.
    const inert = (cell) => (/^'*[=+\-@\t\r\n＝＋－＠]/.test(cell) && Number.isNaN(Number(cell)) ? `'${cell}` : cell);
    const csv = () => grid(true).map((row) => row.map(inert).map((cell) => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",")).join("\n") + "\n";
    const tools = make("div", { class: "tools" });
    const said = make("span", { role: "status" });
    for (const [text, render] of [["Copy as markdown", markdown], ["Copy as CSV", csv]]) {
      const button = make("button", { type: "button" }, text);
      button.addEventListener("click", async () => {
        const copied = render();
        said.textContent = (await copy(copied)) ? `Copied ${copied.split("\n").length - 1} lines.` : "The browser did not allow copying.";
      });
      tools.append(button);
    }
    tools.append(said);
    table.closest(".scroll").after(tools);
  }
  // On paper everything that is folded is open.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details.fold:not([open]), details.care:not([open])");
    for (const fold of opened) fold.open = true;
  });
  addEventListener("afterprint", () => {
    for (const fold of opened) fold.open = false;
  });
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = make("textarea", { class: "vh", "aria-hidden": "true", tabindex: "-1" });
      const back = document.activeElement;
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      back?.focus();
      return done;
    }
  }
})();
