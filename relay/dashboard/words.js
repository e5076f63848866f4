// Numbers, times and codes as people read them.

const numbers = new Intl.NumberFormat("en");
const oneDigit = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const moments = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });

export const count = (number) => numbers.format(number);

export const counted = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

export function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (number >= 1024 && unit < units.length - 1) {
    number /= 1024;
    unit += 1;
  }
  return `${oneDigit.format(number)} ${units[unit]}`;
}

export const rate = (number) => oneDigit.format(number);

/** A span in its largest unit, which is all that matters beside "now". */
export function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h`;
  return counted(Math.floor(seconds / 86_400), "day");
}

/** A moment as a cell shows it: how long ago, or in how long, with the whole of it for whoever points at it. */
export function moment(ms, now) {
  if (ms === null || ms === undefined) return "";
  const between = now - ms;
  const text = between < -999 ? `in ${span(-between)}` : between < 2_000 ? "now" : `${span(between)} ago`;
  return { text, title: moments.format(ms), time: new Date(ms).toISOString() };
}

/** The code of an end or a refusal: `SlowReader` is "slow reader". */
export const code = (text) => text.replaceAll(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();

const REFUSED_CONNECTIONS = {
  rate: "the address connected too often",
  shut_out: "the address had guessed tokens",
  places: "all connections were taken",
  handshakes: "too many were signing in at once",
  origin: "the page is not listed (origins)",
};

/** Why connections were sent away. */
export const refusedConnection = (reason) => REFUSED_CONNECTIONS[reason] ?? reason;

const EVENTS = {
  signed_in: () => "A device signed in",
  left: () => "A device left",
  ended: (event) => `The relay ended a session: ${event.because}`,
  turned_away: (event) => `Somebody was turned away: ${event.because}`,
  chunk_refused: (event) => `Changes were refused: ${event.because}`,
  not_ready: (event) => `Nothing can be appended: ${event.because}`,
  ready: () => "The relay can append again",
  compacted: () => "The old part of a log was compacted",
  token_revoked: (event) => `Token ${event.token} was revoked by an administrator`,
  device_signed_out: () => "A device was signed out by an administrator",
  user_signed_out: () => "A user was signed out by an administrator",
  account_closed: () => "An account was closed by an administrator",
  account_opened: () => "An account was opened again by an administrator",
};

/** What happened. */
export const happened = (event) => EVENTS[event.kind]?.(event) ?? event.kind.replaceAll("_", " ");
