// The dashboard: signs in with a token that a person types in, asks the administration every other second, shows what it
// answers, and does what that person confirms. The token stays in a variable of this module and goes into no address: browsers
// write what is in their storages to the disk, the storage of a tab, too.

import { boards } from "./boards.js";
import { show } from "./tables.js";
import { counted, span } from "./words.js";

const POLL_MS = 2_000;
const ANSWER_TIMEOUT_MS = 10_000;

const at = (id) => document.getElementById(id);
const signIn = at("sign-in");
const board = at("board");

let token = null;
/** Counts sign-ins and sign-outs: what was asked before one of them is not shown after it. */
let epoch = 0;
let isAsking = false;
let timer;
/** When everything that is shown was answered, and since when the relay has not answered. */
let answeredMs;
let failingSinceMs;

/** Why a question was not answered. `kind` is `unauthorized`, `unreachable` or `refused`; the message is for people. */
class Refusal extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

/** Asks the administration; gives what it answers. */
async function ask(path, method = "GET", body = undefined, shown = token) {
  const headers = { authorization: `Bearer ${shown}` };
  if (body !== undefined) headers["content-type"] = "application/json";
  const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  let answer;
  let text;
  try {
    const question = { method, headers, signal, cache: "no-store", credentials: "omit", redirect: "error" };
    answer = await fetch(`v1/${path}`, { ...question, body: body === undefined ? undefined : JSON.stringify(body) });
    text = await answer.text();
  } catch {
    throw new Refusal("unreachable", "The relay does not answer.");
  }
  const said = understood(text);
  if (answer.ok && (text === "" || said !== undefined)) return said;
  if (answer.status === 401) throw new Refusal("unauthorized", "The relay does not take this token.");
  if (answer.status === 429) {
    const wait = Number(answer.headers.get("retry-after")) || 60;
    throw new Refusal(
      "refused",
      `Too many failed attempts came from this address. Try again in ${counted(wait, "second")}.`,
    );
  }
  const words = said?.error ? `${sentence(said.error)}${said.next ? ` Next: ${said.next}.` : ""}` : undefined;
  throw new Refusal("refused", words ?? `The relay gave an answer that is not understood (${answer.status}).`);
}

function understood(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

/** Says what has happened, aloud where somebody listens. */
function say(text) {
  at("said").textContent = text;
}

// Signing in and out.

function showSignIn(problem = "") {
  epoch += 1;
  clearTimeout(timer);
  token = null;
  [answeredMs, failingSinceMs] = [undefined, undefined];
  if (question.open) question.close();
  board.hidden = true;
  signIn.hidden = false;
  at("leave").hidden = true;
  at("token").value = "";
  at("token-problem").textContent = problem;
  at("token").toggleAttribute("aria-invalid", problem !== "");
  tick();
  at("token").focus();
}

function showBoard() {
  epoch += 1;
  signIn.hidden = true;
  board.hidden = false;
  at("leave").hidden = false;
  at("token").value = "";
  at("token-problem").textContent = "";
}

at("sign-in-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const shown = at("token").value.trim();
  if (!/^[\x21-\x7e]+$/.test(shown)) {
    return showSignIn(shown === "" ? "Enter a token." : "This is no token: it holds characters that no token has.");
  }
  const before = epoch;
  at("token-problem").textContent = "";
  try {
    await ask("overview", "GET", undefined, shown);
    if (before !== epoch) return;
    token = shown;
    say("");
    showBoard();
    at("overview-title").focus();
    poll();
  } catch (error) {
    if (before !== epoch) return;
    const wrong = "This is not the token of an administrator, or it was revoked or is over.";
    showSignIn(error.kind === "unauthorized" ? wrong : error.message);
  }
});

at("leave").addEventListener("click", () => {
  showSignIn();
  say("You are signed out of the dashboard: this page has forgotten the token.");
});

// Asking again and again.

const PATHS = ["overview", "sessions", "devices", "users", "spaces", "tokens"];

/** Asks for all of a list, page by page; what is no list is one answer. */
async function askForAll(path, isOver) {
  let answer = await ask(path);
  if (!Array.isArray(answer?.rows)) return answer;
  const rows = answer.rows;
  while (answer.next && !isOver()) {
    answer = await ask(`${path}?after=${encodeURIComponent(answer.next)}`);
    rows.push(...answer.rows);
  }
  return rows;
}

/** Asks for everything, one question after the other, and shows it; asks again after a while, unless nobody sees it. */
async function poll() {
  clearTimeout(timer);
  if (isAsking || token === null || document.hidden) return;
  isAsking = true;
  const before = epoch;
  try {
    const answers = {};
    for (const path of PATHS) {
      answers[path] = await askForAll(path, () => before !== epoch);
      if (before !== epoch) return;
    }
    if (failingSinceMs !== undefined) say("The relay answers again.");
    [answeredMs, failingSinceMs] = [Date.now(), undefined];
    showAnswers(answers);
  } catch (error) {
    if (before !== epoch) return;
    if (error.kind === "unauthorized") {
      return showSignIn(
        "The relay does not take the token any more: it was revoked or is over. Sign in with another one.",
      );
    }
    if (!(error instanceof Refusal)) console.error(error);
    failingSinceMs ??= Date.now();
    at("trouble").dataset.why =
      error instanceof Refusal ? error.message : "A defect in this page keeps it from showing what is new.";
  } finally {
    isAsking = false;
    tick();
    if (token !== null && !document.hidden) timer = setTimeout(poll, before === epoch ? POLL_MS : 0);
  }
}

/** Says how old is what is shown, and when the relay does not answer. */
function tick() {
  const age = answeredMs === undefined ? undefined : Date.now() - answeredMs;
  const fresh = age === undefined ? "Asking the relay…" : age < 2 * POLL_MS ? "Live" : `As of ${span(age)} ago`;
  at("age").textContent = token === null ? "" : fresh;
  board.classList.toggle("old", failingSinceMs !== undefined);
  if (failingSinceMs !== undefined) show(at("tile-state"), { text: "No answer", tone: "bad" });
  const trouble = at("trouble");
  trouble.hidden = failingSinceMs === undefined;
  const text = failingSinceMs === undefined ? "" : `${trouble.dataset.why} It is asked again every other second.`;
  if (trouble.textContent !== text) trouble.textContent = text;
}

setInterval(() => document.hidden || tick(), 1_000);
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : poll()));

// Doing something: each is confirmed first.

const question = at("question");
let asked;

/**
 * Asks before something is done. `choices` are of `label`, `confirm` and `act(ask)`, which does it and gives the words for what
 * then was; where there is one only, there is nothing to choose.
 */
function confirm({ title, text, choices, danger = true }) {
  asked = { choices, opener: document.activeElement, section: document.activeElement?.closest("section") };
  at("question-title").textContent = title;
  at("question-text").textContent = text;
  at("question-problem").textContent = "";
  at("choices").hidden = choices.length < 2;
  at("choices")
    .querySelectorAll("label")
    .forEach((label) => label.remove());
  choices.forEach((choice, number) => {
    const label = document.createElement("label");
    const radio = Object.assign(document.createElement("input"), {
      type: "radio",
      name: "choice",
      value: String(number),
    });
    radio.checked = number === 0;
    radio.addEventListener("change", nameConfirm);
    label.append(radio, ` ${choice.label}`);
    at("choices").append(label);
  });
  at("confirm").classList.toggle("danger", danger);
  at("confirm").disabled = false;
  nameConfirm();
  question.showModal();
}

const chosen = () => asked.choices[Number(question.querySelector("input:checked")?.value ?? 0)];

function nameConfirm() {
  at("confirm").textContent = chosen().confirm;
}

at("cancel").addEventListener("click", () => question.close());

question.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [before, doing] = [epoch, asked];
  at("confirm").disabled = true;
  at("question-problem").textContent = "";
  try {
    const words = await chosen().act(ask);
    if (before !== epoch) return;
    if (doing === asked) question.close();
    say(words);
    poll();
  } catch (error) {
    if (before !== epoch) return;
    if (error.kind === "unauthorized")
      return showSignIn("The relay does not take the token any more. Sign in with another one.");
    if (!(error instanceof Refusal)) console.error(error);
    if (doing === asked) at("question-problem").textContent = `Nothing is known to have been done. ${error.message}`;
  } finally {
    if (doing === asked) at("confirm").disabled = false;
  }
});

question.addEventListener("close", () => {
  const { opener, section } = asked;
  // What was asked about may be gone by now, and its button with it.
  if (opener?.isConnected && !opener.hidden) opener.focus();
  else section?.querySelector("h2")?.focus();
});

const showAnswers = boards(at, confirm);

showSignIn();
