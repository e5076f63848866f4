// Sessions, devices, users and tokens: who may use the relay, who does, and how that is ended.

import { Table } from "./tables.js";
import { bytes, count, counted, moment, span } from "./words.js";

export const deviceKey = (user, device) => `${device} ${user ?? ""}`;
const nameOf = ({ name }, id) => name ?? `device ${id}`;

/** What signing out did, in words. */
function signedOut(who, { revoked_tokens: revoked, shared_tokens: shared, kept_tokens: kept }) {
  const named = (numbers) => `${numbers.length === 1 ? "token" : "tokens"} ${numbers.join(", ")}`;
  const words = [`${who} is signed out.`];
  if (revoked.length > 0) words.push(`Revoked with it: ${named(revoked)}.`);
  if (shared.length > 0) words.push(`Other devices have used ${named(shared)} too, and need new ones.`);
  if (kept.length > 0) words.push(`Still good: ${named(kept)}. Whoever holds one signs in with it as a new device.`);
  return words.join(" ");
}

const SIGN_OUT = "Nothing more of it is stored; it is told that it was signed out, and keeps what it had not sent.";

/** What can become of the tokens of a device that is signed out; `act` does it, and `confirm` is what it is called. */
const tokensOfDevice = (confirm, act) => [
  {
    label: "Revoke all tokens that it has shown. Other devices that use one of them are signed out with it.",
    confirm,
    act: (ask) => act(ask, false),
  },
  {
    label:
      "Keep its tokens for the other devices that use them. Whoever holds one can sign in with it as a new device.",
    confirm: `${confirm}, keep tokens`,
    act: (ask) => act(ask, true),
  },
];

export function sessionsTable(at, seen, confirm) {
  const progress = ({ space, stored, head, lag }) =>
    `${space}: ${lag === 0 ? `in step at ${count(head)}` : `${count(lag)} behind, confirmed ${count(stored ?? 0)} of ${count(head)}`}`;
  return new Table(at("sessions"), {
    caption: "Devices that are connected now",
    key: ({ id }) => id,
    name: (session) => nameOf(session, session.device),
    find: ({ name, device, user, address, id, spaces }) => [
      name,
      device,
      user,
      address,
      id,
      ...spaces.map(({ space }) => space),
    ],
    empty:
      "No device is signed in. Make a user with “afield-relay user create NAME”, and a token for each of its devices with “afield-relay token create --user NAME”.",
    columns: [
      {
        label: "Device",
        value: (session) => ({ text: session.name ?? "no name", sub: session.device, title: `session ${session.id}` }),
      },
      { label: "User", value: ({ user }) => user ?? "anyone" },
      { label: "Address", value: ({ address }) => address ?? "unknown" },
      { label: "Connected", value: ({ since_ms }) => moment(since_ms, seen.now) },
      { label: "Heard", value: ({ last_seen_ms }) => moment(last_seen_ms, seen.now) },
      { label: "Spaces", value: ({ spaces }) => (spaces.length > 0 ? { lines: spaces.map(progress) } : "none open") },
      { label: "Waits for it", value: ({ queued_bytes }) => bytes(queued_bytes) },
    ],
    actions: [
      {
        label: () => "End and sign out",
        offered: ({ user }) => user !== null,
        run: (session) =>
          confirm({
            title: `End the session of ${nameOf(session, session.device)}?`,
            text: `The session ends at once, and the device, one of ${session.user}, is signed out. ${SIGN_OUT}`,
            choices: tokensOfDevice("End and sign out", async (ask, keep) => {
              const path = `sessions/${encodeURIComponent(session.id)}?keep_tokens=${keep}`;
              return signedOut(nameOf(session, session.device), await ask(path, "DELETE"));
            }),
          }),
      },
    ],
  });
}

export function devicesTable(at, seen, confirm) {
  const state = ({ user, id, signed_out_ms }) => {
    if (seen.here.has(deviceKey(user, id))) return { text: "connected", tone: "good" };
    return signed_out_ms === null
      ? "away"
      : {
          ...moment(signed_out_ms, seen.now),
          text: `signed out ${moment(signed_out_ms, seen.now).text}`,
          tone: "quiet",
        };
  };
  return new Table(at("devices"), {
    caption: "Devices that have signed in, by user",
    key: ({ user, id }) => deviceKey(user, id),
    name: (device) => nameOf(device, device.id),
    find: ({ name, id, user, address }) => [name, id, user, address],
    empty:
      "No device has signed in yet. Make a user with “afield-relay user create NAME”, and a token for each of its devices with “afield-relay token create --user NAME”.",
    columns: [
      { label: "Device", value: ({ name, id }) => ({ text: name ?? "no name", sub: id }) },
      { label: "User", value: ({ user }) => user },
      { label: "State", value: state },
      { label: "Last seen", value: ({ last_seen_ms }) => moment(last_seen_ms, seen.now) },
      { label: "First seen", value: ({ first_seen_ms }) => moment(first_seen_ms, seen.now) },
      { label: "Address", value: ({ address }) => address ?? "unknown" },
      { label: "Token", value: ({ token }) => (token === null ? "none" : String(token)) },
    ],
    actions: [
      {
        label: () => "Sign out",
        offered: ({ signed_out_ms }) => signed_out_ms === null,
        run: (device) =>
          confirm({
            title: `Sign out ${nameOf(device, device.id)}?`,
            text: `This is a device of ${device.user}. If it is connected, its session ends at once. ${SIGN_OUT}`,
            choices: tokensOfDevice("Sign out", async (ask, keep) => {
              const path = [device.user, device.id].map(encodeURIComponent).join("/");
              const signed = await ask(`devices/${path}/sign-out`, "POST", { keep_tokens: keep });
              return signedOut(nameOf(device, device.id), signed);
            }),
          }),
      },
    ],
  });
}

export function usersTable(at, seen, confirm) {
  const path = ({ name }) => `users/${encodeURIComponent(name)}`;
  const signOut = (user) => ({
    label: "Sign out: all its tokens are revoked. It comes back with a new token.",
    confirm: "Sign out",
    act: async (ask) => signedOut(user.name, await ask(`${path(user)}/sign-out`, "POST")),
  });
  const close = (user) => ({
    label: "Close the account: nothing of it gets in until the account is opened again. Its tokens stay as they are.",
    confirm: "Close the account",
    act: async (ask) => {
      await ask(path(user), "PATCH", { disabled: true });
      return `The account of ${user.name} is closed.`;
    },
  });
  const open = (user) => ({
    confirm: "Open the account",
    act: async (ask) => {
      await ask(path(user), "PATCH", { disabled: false });
      return `The account of ${user.name} is open again.`;
    },
  });
  return new Table(at("users"), {
    caption: "Users of this relay, in the order in which they were made",
    key: ({ name }) => name,
    name: ({ name }) => name,
    find: ({ name, issuer }) => [name, issuer],
    empty: "There is no user. Make one: afield-relay user create NAME.",
    columns: [
      {
        label: "User",
        value: ({ name, issuer }) => ({ text: name, sub: issuer === null ? "" : `signed in by ${issuer}` }),
      },
      {
        label: "State",
        value: ({ disabled_ms: closed }) =>
          closed === null
            ? "open"
            : { ...moment(closed, seen.now), text: `closed ${moment(closed, seen.now).text}`, tone: "bad" },
      },
      { label: "Devices", value: ({ devices }) => count(devices) },
      { label: "Good tokens", value: ({ tokens }) => count(tokens) },
      { label: "Spaces", value: ({ spaces }) => count(spaces) },
      { label: "Made", value: ({ created_ms }) => (created_ms > 0 ? moment(created_ms, seen.now) : "with the relay") },
    ],
    actions: [
      {
        label: () => "Sign out or close",
        offered: ({ disabled_ms }) => disabled_ms === null,
        run: (user) =>
          confirm({
            title: `Sign out ${user.name}?`,
            text: `All sessions of this user end at once, on ${counted(user.devices, "device")} at the most. They are told why, and keep what they had not sent.`,
            choices: [signOut(user), close(user)],
          }),
      },
      {
        label: () => "Open the account",
        offered: ({ disabled_ms }) => disabled_ms !== null,
        run: (user) =>
          confirm({
            title: `Open the account of ${user.name}?`,
            text: "Its devices get in again, with the tokens that are good.",
            choices: [open(user)],
            danger: false,
          }),
      },
    ],
  });
}

export function tokensTable(at, seen, confirm) {
  const isOver = ({ expires_ms }) => expires_ms !== null && expires_ms <= seen.now;
  const state = (token) => {
    if (token.revoked_ms !== null)
      return {
        ...moment(token.revoked_ms, seen.now),
        text: `revoked ${moment(token.revoked_ms, seen.now).text}`,
        tone: "quiet",
      };
    if (isOver(token))
      return {
        ...moment(token.expires_ms, seen.now),
        text: `over since ${span(seen.now - token.expires_ms)}`,
        tone: "quiet",
      };
    return token.expires_ms === null
      ? "good for ever"
      : { ...moment(token.expires_ms, seen.now), text: `good, ends ${moment(token.expires_ms, seen.now).text}` };
  };
  const rights = ({ admin, read_only: readOnly, spaces, may_create_spaces: creates, signed }) => {
    if (admin) return "opens the administration";
    const where = spaces === null ? "all spaces of its user" : counted(spaces.length, "space");
    return `${readOnly ? "reads" : "reads and writes"} ${where}${creates ? ", brings spaces" : ""}${signed ? "; signed by an app" : ""}`;
  };
  return new Table(at("tokens"), {
    caption: "Tokens, good ones first; none is shown",
    key: ({ number }) => number,
    name: ({ number, name }) => (name === null ? `token ${number}` : `token ${number}, ${name}`),
    find: ({ number, name, user, admin }) => [String(number), name, user, admin ? "administration" : ""],
    empty: "There is no token. Make one: afield-relay token create --user NAME.",
    columns: [
      { label: "Token", value: ({ number, name }) => ({ text: name ?? "no name", sub: `number ${number}` }) },
      { label: "User", value: ({ user }) => user },
      { label: "May", value: rights },
      { label: "State", value: state },
      { label: "Made", value: ({ created_ms }) => moment(created_ms, seen.now) },
    ],
    actions: [
      {
        label: () => "Revoke",
        offered: ({ revoked_ms }) => revoked_ms === null,
        run: (token) =>
          confirm({
            title: `Revoke token ${token.number}${token.name === null ? "" : `, ${token.name}`}?`,
            text: token.admin
              ? "It opens the administration, and never does again. If it is the one that you are signed in with, this page asks for another."
              : `It is one of ${token.user}, and is good for nothing any more. Sessions that were opened with it end at once; their devices keep what they had not sent.`,
            choices: [
              {
                confirm: "Revoke",
                act: async (ask) => {
                  await ask(`tokens/${token.number}`, "DELETE");
                  return `Token ${token.number} is revoked.`;
                },
              },
            ],
          }),
      },
    ],
  });
}
