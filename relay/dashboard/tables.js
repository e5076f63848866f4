// Tables that are brought up to date in place: a row stays the same element as long as what it is about is there, so that
// whoever stands on one of its buttons still does after an update. All text goes in as text: names are other people's.

/** The most rows that are shown at once; a search finds the others. */
const ROWS_MAX = 200;

export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** Sets a text only where it is another one, so that nothing is read aloud or selected anew. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Puts a value into a cell or a tile: a text, or an object of `text`, a smaller text below it (`sub`), `lines`, a `bar` of value and
 * max, a `time` for machines, a `title`, and a `tone` (good, bad or quiet).
 */
export function show(node, value) {
  const wanted = typeof value === "string" ? { text: value } : value;
  const known = JSON.stringify(wanted);
  if (node.shown === known) return;
  node.shown = known;
  const parts = [];
  if (wanted.text !== undefined) {
    const text = element(wanted.time ? "time" : "bdi", wanted.time ? { dateTime: wanted.time } : {}, wanted.text);
    parts.push(text);
  }
  if (wanted.bar) {
    const { value: done, max, label } = wanted.bar;
    parts.push(element("progress", { value: Math.min(done, max), max: Math.max(max, 1), "aria-label": label }));
  }
  if (wanted.sub) parts.push(element("bdi", { className: "sub" }, wanted.sub));
  if (wanted.lines) parts.push(element("ul", {}, ...wanted.lines.map((line) => element("li", {}, line))));
  node.replaceChildren(...parts);
  node.title = wanted.title ?? "";
  node.dataset.tone = wanted.tone ?? "";
}

/**
 * A table in a section, under its heading.
 *
 * `columns` are of `label` and `value(row)`, the first one being what the row is about; `key(row)` keeps rows apart; `name(row)` says
 * which one a button is about; `actions` are of `label(row)`, `offered(row)` and `run(row)`; `empty` is a text, or a
 * function of what was searched for; `find(row)` gives the texts in which is searched.
 */
export class Table {
  constructor(section, { caption, columns, key, name, actions = [], empty, find }) {
    Object.assign(this, { columns, key, name, actions, empty, find });
    this.heading = section.querySelector("h2");
    this.search = section.querySelector("input[type=search]");
    this.rows = new Map();
    this.all = [];
    const labels = columns.map(({ label }) => element("th", { scope: "col", role: "columnheader" }, label));
    if (actions.length > 0) labels.push(element("th", { scope: "col", role: "columnheader" }, "What to do"));
    this.body = element("tbody", { role: "rowgroup" });
    // The roles are said outright: on a narrow screen the rows are laid out as cards, and would lose them.
    this.table = element(
      "table",
      { role: "table" },
      element("caption", {}, caption),
      element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...labels)),
      this.body,
    );
    this.note = element("p", { className: "note" });
    section.append(element("div", { className: "scrolls" }, this.table), this.note);
    this.search?.addEventListener("input", () => this.update(this.all));
  }

  /** Shows these rows, in this order, as far as the search finds them. */
  update(all) {
    this.all = all;
    const words = (this.search?.value ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const matches = (row) => {
      const text = this.find(row).filter(Boolean).join("\n").toLowerCase();
      return words.every((word) => text.includes(word));
    };
    const found = words.length > 0 ? all.filter(matches) : all;
    const shown = found.slice(0, ROWS_MAX);
    const wanted = new Map(shown.map((row) => [this.key(row), row]));
    this.removeOthers(wanted);
    const order = [...wanted].map(([key, row]) => this.bring(key, row));
    arrange(this.body, order);
    this.table.hidden = shown.length === 0;
    setText(this.note, this.say(all.length, found.length, shown.length));
  }

  say(all, found, shown) {
    if (all === 0) return this.empty;
    if (found === 0) return "Nothing here is found by this search.";
    if (shown < found) return `${shown} of ${found} are shown${this.search ? ": a search finds the others" : ""}.`;
    return found < all ? `${found} of ${all} are found by this search.` : "";
  }

  bring(key, row) {
    let known = this.rows.get(key);
    if (!known) {
      known = this.make();
      this.rows.set(key, known);
    }
    known.row = row;
    let leaving = false;
    this.columns.forEach(({ value }, at) => show(known.cells[at], value(row)));
    known.buttons.forEach((button, at) => {
      const { label, offered } = this.actions[at];
      const hadFocus = button === document.activeElement;
      button.hidden = offered ? !offered(row) : false;
      setText(button, label(row));
      button.setAttribute("aria-label", `${label(row)}: ${this.name(row)}`);
      if (hadFocus && button.hidden) leaving = true;
    });
    // What was done from here is done: whoever stood on its button comes to what can be done now, or to the heading.
    if (leaving) (known.line.querySelector("button:not([hidden])") ?? this.heading).focus({ preventScroll: true });
    return known.line;
  }

  make() {
    const cells = this.columns.map(({ label }, at) =>
      at === 0
        ? element("th", { scope: "row", role: "rowheader", "data-label": label })
        : element("td", { role: "cell", "data-label": label }),
    );
    const known = { cells, row: undefined };
    known.buttons = this.actions.map(({ run }) => {
      const button = element("button", { type: "button" });
      button.addEventListener("click", () => run(known.row));
      return button;
    });
    known.line = element("tr", { role: "row" }, ...cells);
    if (known.buttons.length > 0) {
      known.line.append(element("td", { role: "cell", className: "actions" }, ...known.buttons));
    }
    return known;
  }

  /** Removes rows that are gone. Whoever stood on one comes to the next one, or to the heading. */
  removeOthers(wanted) {
    for (const [key, known] of this.rows) {
      if (wanted.has(key)) continue;
      this.rows.delete(key);
      const hadFocus = known.line.contains(document.activeElement);
      const beside = known.line.nextElementSibling ?? known.line.previousElementSibling;
      known.line.remove();
      if (hadFocus) (beside?.querySelector("button:not([hidden])") ?? this.heading).focus({ preventScroll: true });
    }
  }
}

/** Puts rows in order without moving the one that has the focus, which would lose it: the others move around it. */
function arrange(body, order) {
  const focused = order.find((line) => line.contains(document.activeElement));
  let next = null;
  for (const line of order.toReversed()) {
    if (line !== focused && (line.nextElementSibling !== next || line.parentElement !== body)) {
      body.insertBefore(line, next);
    }
    next = line;
  }
}
