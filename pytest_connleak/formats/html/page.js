"use strict";
{
  const page = document.documentElement;
  const $ = (id) => document.getElementById(id);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
  page.classList.add("scripted");

  /* --- light and dark: kept for this file's place, if the browser keeps anything there --- */
  const themes = ["auto", "light", "dark"];
  const kept = (value) => {
    try {
      return value === undefined ? localStorage.connleakTheme : (localStorage.connleakTheme = value);
    } catch {
      return value;
    }
  };
  const wear = (theme) => {
    page.dataset.theme = theme;
    $("theme").textContent = `Theme: ${theme}`;
  };
  wear(themes.includes(kept()) ? kept() : "auto");
  $("theme").addEventListener("click", () => {
    wear(themes[(themes.indexOf(page.dataset.theme) + 1) % themes.length]);
    kept(page.dataset.theme);
  });

  /* --- the address: #kind=a,b&status=c&q=text&at=id, or #id alone --- */
  const cards = all(".card").map((element) => ({ element, id: element.id, ...element.dataset, text: null }));
  const rows = all("#tests tbody tr").map((element) => ({ element, at: (element.dataset.at || "").split(" "), text: null }));
  const form = $("filters");
  const textOf = (item, selector) =>
    (item.text ??= all(selector, item.element).map((part) => part.textContent).join("\n").toLowerCase());
  const chosen = (name) => all(`input[name=${name}]:checked`, form).map((box) => box.value);

  const filter = () => {
    const kinds = chosen("kind"), statuses = chosen("status");
    const words = $("q").value.toLowerCase().split(/\s+/).filter(Boolean);
    const has = (text) => words.every((word) => text.includes(word));
    const fits = (card) =>
      (!kinds.length || kinds.includes(card.kind)) && (!statuses.length || statuses.includes(card.status));
    const fitting = new Set();
    let shown = 0, shownRows = 0;
    for (const card of cards) {
      const fit = fits(card);
      if (fit) fitting.add(card.id);
      const show = fit && has(textOf(card, "summary, .way, .hit li, .chain"));
      if (card.element.hidden === show) card.element.hidden = !show;
      shown += show;
    }
    const narrowed = kinds.length || statuses.length;
    for (const row of rows) {
      const show = (!narrowed || row.at.some((id) => fitting.has(id))) && has(textOf(row, "th, td"));
      if (row.element.hidden === show) row.element.hidden = !show;
      shownRows += show;
    }
    const filtered = Boolean(narrowed || words.length);
    $("shown").textContent = filtered ? `${shown.toLocaleString("en")} of ${count(cards.length, "place")}` : count(cards.length, "place");
    if ($("rows-shown")) $("rows-shown").textContent = filtered ? `(${shownRows.toLocaleString("en")} shown)` : "";
    $("nothing").hidden = shown > 0;
    $("clear").hidden = !filtered;
  };

  const write = (at) => {
    const parts = [];
    for (const name of ["kind", "status"]) {
      const values = chosen(name);
      if (values.length) parts.push(`${name}=${values.map(encodeURIComponent).join(",")}`);
    }
    const text = $("q").value.trim();
    if (text) parts.push(`q=${encodeURIComponent(text)}`);
    if (at) parts.push(parts.length ? `at=${at}` : at);
    history.replaceState(null, "", `#${parts.join("&")}`);
  };

  const read = () => {
    const hash = location.hash.slice(1);
    const given = new URLSearchParams(hash.includes("=") ? hash : `at=${hash}`);
    for (const name of ["kind", "status"]) {
      const values = (given.get(name) || "").split(",");
      for (const box of all(`input[name=${name}]`, form)) box.checked = values.includes(box.value);
    }
    $("q").value = given.get("q") || "";
    filter();
    return given.get("at");
  };

  const go = (id) => {
    const target = id && $(id);
    if (!target) return;
    if (target.hidden) clear();
    if (target.matches(".card")) target.open = true;
    target.scrollIntoView();
    requestAnimationFrame(() => target.scrollIntoView());  // what came into view on the way has its true height now
    (target.querySelector("summary") || target).focus({ preventScroll: true });
  };

  const clear = () => {
    form.reset();
    filter();
    write();
  };

  if (form) {
    // What is gone to is not to be hidden by the filters, which stay in view where there is room.
    new ResizeObserver(() => {
      page.style.scrollPaddingTop = `${(getComputedStyle(form).position === "sticky" ? form.offsetHeight : 0) + 12}px`;
    }).observe(form);
    let due = 0;
    form.addEventListener("input", () => {
      cancelAnimationFrame(due);
      due = requestAnimationFrame(() => { filter(); write(); });
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    $("clear").addEventListener("click", () => { clear(); $("q").focus(); });
    $("toggle").addEventListener("click", () => {
      const shown = cards.filter((card) => !card.element.hidden);
      const open = shown.some((card) => !card.element.open);
      for (const card of shown) card.element.open = open;
      $("toggle").textContent = open ? "Close all" : "Open all";
    });
    window.addEventListener("hashchange", () => go(read()));
    const at = read();
    if (at) window.addEventListener("load", () => requestAnimationFrame(() => go(at)));  // after the browser went there
    document.addEventListener("click", (event) => {
      const link = event.target.closest?.("a[href^='#']");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      const id = link.getAttribute("href").slice(1);
      go(id);
      write(id);
    });
  }

  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input[type=search]");
    if (event.ctrlKey || event.metaKey || event.altKey || !form) return;
    if (event.key === "/" && !typing) {
      event.preventDefault();
      $("q").focus();
    } else if (event.key === "Escape" && typing) {
      clear();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {  // from one finding's heading to the next
      const shown = cards.filter((card) => !card.element.hidden).map((card) => card.element.querySelector("summary"));
      const now = shown.indexOf(event.target);
      const next = now < 0 ? null : shown[now + (event.key === "ArrowDown" ? 1 : -1)];
      if (!next) return;
      event.preventDefault();
      next.focus();
    }
  });

  /* --- the timeline: a cursor and the numbers of a column; one stop for the Tab key, arrows between the marks --- */
  const timeline = document.querySelector(".timeline");
  if (timeline) {
    const tip = $("tip"), cursor = timeline.querySelector(".cursor");
    const columns = all(".columns rect", timeline);
    const labels = columns.map((rect) => rect.textContent);
    for (const rect of columns) rect.replaceChildren();  // or the browser would show its own, too
    const marks = all(".marks a", timeline);
    for (const mark of marks) mark.querySelector("title").remove();  // its label says the same
    const show = (fraction, text, leak = "") => {
      cursor.setAttribute("visibility", "visible");
      cursor.setAttribute("x1", `${100 * fraction}%`);
      cursor.setAttribute("x2", `${100 * fraction}%`);
      const [test] = text.split("\n");
      const named = document.createElement("b");
      named.textContent = leak && `\n${leak.startsWith(`${test}: `) ? leak.slice(test.length + 2) : leak}`;
      tip.replaceChildren(text, named);
      tip.hidden = false;
      const width = timeline.clientWidth || timeline.getBoundingClientRect().width;
      const left = fraction * width + 14;
      tip.style.left = `${Math.max(0, left + tip.offsetWidth > width ? left - tip.offsetWidth - 28 : left)}px`;
    };
    const hide = () => {
      tip.hidden = true;
      cursor.setAttribute("visibility", "hidden");
    };
    const at = (fraction) => Math.min(columns.length - 1, Math.max(0, Math.floor(fraction * columns.length)));
    const leaks = new Map();
    for (const mark of marks) {
      const box = mark.firstElementChild;
      const x = parseFloat(box.getAttribute("cx") || box.getAttribute("x")) / 100;
      const named = mark.getAttribute("aria-label");
      leaks.set(at(x), named);
      mark.addEventListener("focus", () => show(x, labels[at(x)], named));
      mark.addEventListener("blur", hide);
    }
    const plot = timeline.parentElement;
    plot.addEventListener("pointermove", (event) => {
      const box = timeline.getBoundingClientRect();
      const n = at((event.clientX - box.left) / box.width);
      show((n + 0.5) / columns.length, labels[n], leaks.get(n));
    });
    plot.addEventListener("pointerleave", hide);
    marks.forEach((mark, n) => {
      mark.setAttribute("tabindex", n ? "-1" : "0");
      mark.addEventListener("keydown", (event) => {
        const to = { ArrowLeft: n - 1, ArrowRight: n + 1, Home: 0, End: marks.length - 1 }[event.key];
        if (!marks[to]) return;
        event.preventDefault();
        mark.setAttribute("tabindex", "-1");
        marks[to].setAttribute("tabindex", "0");
        marks[to].focus();
      });
    });
  }

  /* --- the table of tests is sorted by its headings --- */
  for (const heading of all("#tests thead th")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      for (const other of all("#tests thead th")) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => {
        const cell = row.element.cells[heading.cellIndex];
        return cell.dataset.n || cell.textContent.trim();
      };
      const sorted = rows.map((row) => [value(row), row]).sort(([a], [b]) => (a - b || a.localeCompare(b)) * (down ? -1 : 1));
      document.querySelector("#tests tbody").append(...sorted.map(([, row]) => row.element));
    });
  }

  /* --- code is coloured when it is first seen --- */
  const words = "and as assert async await break class continue def del elif else except False finally for from global if import in is lambda match None nonlocal not or pass raise return True try while with yield";
  const python = new RegExp(`(#.*)|([rbfu]{0,2}(?:"(?:\\\\.|[^"\\\\\\n])*"|'(?:\\\\.|[^'\\\\\\n])*'))|\\b(${words.replaceAll(" ", "|")})\\b`, "g");
  const colour = (code) => {
    const walker = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) if (walker.currentNode.parentElement.tagName !== "I") texts.push(walker.currentNode);
    for (const text of texts) {
      const pieces = [];
      let end = 0;
      for (const found of text.data.matchAll(python)) {
        const piece = document.createElement("span");
        piece.className = found[1] ? "c" : found[2] ? "s" : "k";
        piece.textContent = found[0];
        pieces.push(text.data.slice(end, found.index), piece);
        end = found.index + found[0].length;
      }
      if (end) text.replaceWith(...pieces, text.data.slice(end));
    }
  };
  const colourOnce = (card) => {
    if (!card.open || card.dataset.coloured) return;
    card.dataset.coloured = "yes";
    all("pre code", card).forEach(colour);
  };
  for (const { element } of cards) {
    if (element.open) colourOnce(element);
    element.addEventListener("toggle", () => colourOnce(element));
  }

  /* --- on paper everything is open --- */
  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = all("details:not([open])");
    for (const details of closed) details.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const details of closed) details.open = false;
  });
}
