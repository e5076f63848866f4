// What the dashboard shows of each answer, and what can be done from there.

import { Table, element, show } from "./tables.js";
import { deviceKey, devicesTable, sessionsTable, tokensTable, usersTable } from "./people.js";
import { bytes, code, count, counted, happened, moment, rate, refusedConnection, span } from "./words.js";

function spacesTable(at, seen) {
  const share = (value, max) => {
    const percent = (100 * value) / Math.max(max, 1);
    return percent > 0 && percent < 0.1 ? "below 0.1 %" : `${rate(percent)} %`;
  };
  const used = (value, max, text, label) => ({
    text,
    bar: { value, max, label },
    sub: `${share(value, max)} of the quota`,
  });
  return new Table(at("spaces"), {
    caption: "Spaces, and how much of their quota is used",
    key: ({ id }) => id,
    name: ({ id }) => id,
    find: ({ id }) => [id],
    empty: "There is no space yet: the first device that signs in and syncs brings one.",
    columns: [
      { label: "Space", value: ({ id }) => ({ text: id }) },
      { label: "Members", value: ({ members }) => count(members) },
      {
        label: "Bytes",
        value: (space) =>
          used(
            space.bytes,
            seen.limits.space_bytes,
            `${bytes(space.bytes)} of ${bytes(seen.limits.space_bytes)}`,
            "Bytes used",
          ),
      },
      {
        label: "Chunks",
        value: (space) =>
          used(
            space.chunks,
            seen.limits.space_chunks,
            `${count(space.chunks)} of ${count(seen.limits.space_chunks)}`,
            "Chunks used",
          ),
      },
      { label: "End of the log", value: ({ sequence }) => count(sequence) },
      { label: "Came", value: ({ created_ms }) => moment(created_ms, seen.now) },
    ],
  });
}

const refusalsTable = (at) =>
  new Table(at("refusals"), {
    caption: "What the relay ended, refused or could not do since its start",
    key: ({ what, why }) => `${what} ${why}`,
    name: ({ what }) => what,
    empty: "Nothing was refused, and nothing failed, since the relay started.",
    columns: [
      { label: "What", value: ({ what }) => what },
      { label: "Why", value: ({ why }) => why },
      { label: "Times", value: ({ times }) => count(times) },
    ],
  });

function refusals({ sessions_ended, refused_connections, chunks_refused, failed_commits }) {
  const rows = (what, counts, words) =>
    Object.entries(counts).map(([why, times]) => ({ what, why: words(why), times }));
  return [
    ...(failed_commits > 0
      ? [{ what: "Commits that failed", why: "the relay's log has the reason", times: failed_commits }]
      : []),
    ...rows("Changes refused", chunks_refused, code),
    ...rows("Sessions ended by the relay", sessions_ended, code),
    ...rows("Connections sent away", refused_connections, refusedConnection),
  ];
}

const eventsTable = (at, seen) =>
  new Table(at("events"), {
    caption: "What happened last, newest first; what is alike stands together",
    key: ({ number }) => number,
    name: ({ number }) => `event ${number}`,
    empty: "Nothing has happened since the relay started.",
    columns: [
      { label: "What", value: (event) => ({ text: happened(event), tone: event.kind === "not_ready" ? "bad" : "" }) },
      { label: "When", value: ({ at_ms }) => moment(at_ms, seen.now) },
      {
        label: "Who",
        value: ({ user, device }) => ({ text: user ?? (device === null ? "" : "anyone"), sub: device ?? "" }),
      },
      { label: "From", value: ({ address }) => address ?? "" },
      { label: "Times", value: ({ times }) => count(times) },
    ],
  });

/** The tiles of the overview: what each is called, and what it says. */
const TILES = {
  State: ({ ready, not_ready_because: because, open_access: open }) => {
    const sub = open ? "ANYONE may read and write: open access" : "";
    return ready
      ? { text: "Ready", tone: "good", sub }
      : { text: "Not ready", tone: "bad", sub: `nothing is stored: ${because ?? "the log has the reason"}` };
  },
  "Devices connected": ({ now: { sessions, open_spaces: spaces } }) => ({
    text: count(sessions),
    sub: `${counted(spaces, "space")} open`,
  }),
  Connections: ({ now: { connections }, limits: { connections: max } }) => ({
    text: `${count(connections)} of ${count(max)}`,
    bar: { value: connections, max, label: "Connections used" },
    tone: connections >= 0.9 * max ? "bad" : "",
  }),
  "Chunks stored": ({ rates, total }) => ({
    text: perSecond(rates?.chunks, rate),
    sub: `${count(total.chunks_stored)} since the start`,
  }),
  Received: ({ rates, total }) => ({
    text: perSecond(rates?.received_bytes, bytes),
    sub: `${bytes(total.received_bytes)} since the start`,
  }),
  Sent: ({ rates, total }) => ({
    text: perSecond(rates?.sent_bytes, bytes),
    sub: `${bytes(total.sent_bytes)} since the start`,
  }),
  "Devices are behind": ({ now: { lag_chunks: lag, queued_bytes: queued } }) => ({
    text: `${counted(lag, "chunk")}`,
    sub: `not confirmed by them yet; ${bytes(queued)} wait to be sent`,
  }),
  Log: ({ now: { log_bytes: log, wal_bytes: wal } }) => ({ text: bytes(log), sub: `and ${bytes(wal)} of WAL` }),
  Version: ({ version, protocol, up_ms: up }) => ({ text: version, sub: `protocol ${protocol}; up for ${span(up)}` }),
};

const perSecond = (value, words) => (value === undefined ? "…" : `${words(value)}/s`);

function tiles(list) {
  const shown = Object.entries(TILES).map(([label, value]) => {
    const tile = element("dd", { id: `tile-${label.toLowerCase().replaceAll(" ", "-")}` });
    list.append(element("div", {}, element("dt", {}, label), tile));
    return (overview) => show(tile, value(overview));
  });
  return (overview) => shown.forEach((tile) => tile(overview));
}

const byText =
  (...texts) =>
  (a, b) =>
    texts.map((text) => (text(a) ?? "").localeCompare(text(b) ?? "")).find((order) => order !== 0) ?? 0;

/** Makes everything that is shown; gives what shows new answers. */
export function boards(at, confirm) {
  // The moment is the relay's: its clock tells how long ago something was, and not this machine's.
  const seen = { now: 0, limits: {}, here: new Set() };
  const overview = tiles(at("tiles"));
  const [sessions, devices, users, tokens] = [sessionsTable, devicesTable, usersTable, tokensTable].map((make) =>
    make(at, seen, confirm),
  );
  const [spaces, refused, events] = [spacesTable, refusalsTable, eventsTable].map((make) => make(at, seen));
  const isGone = ({ signed_out_ms: gone }) => (gone === null ? "" : "gone");
  const isEnded = ({ revoked_ms: ended, expires_ms: expires }) =>
    ended !== null || (expires !== null && expires <= seen.now) ? "ended" : "";
  return (answers) => {
    seen.now = answers.overview.now_ms;
    seen.limits = answers.overview.limits;
    seen.here = new Set(answers.sessions.map(({ user, device }) => deviceKey(user, device)));
    overview(answers.overview);
    sessions.update(answers.sessions);
    // In an order that stays: by when they were here last they would change places all the time.
    devices.update(
      answers.devices.toSorted(
        byText(
          isGone,
          ({ user }) => user,
          ({ name }) => name,
          ({ id }) => id,
        ),
      ),
    );
    users.update(answers.users);
    spaces.update(answers.spaces);
    tokens.update(answers.tokens.toSorted(byText(isEnded)));
    refused.update(refusals(answers.overview.total));
    events.update(answers.overview.events);
  };
}
