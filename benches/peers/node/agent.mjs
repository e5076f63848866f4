// Clients that do what `afield_benches::protocol` tells them: one line of JSON each way.
//
// A system gives `open(folder)`, which makes one client; see `hocuspocus.mjs` and `automerge-repo.mjs`.

import { createInterface } from "node:readline"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as after } from "node:timers/promises"

/** How long something may take that a client waits for, in milliseconds. */
const TIMEOUT_MS = 110_000

/** This moment, in microseconds since the Unix epoch. */
export const wallUs = () => Math.round((performance.timeOrigin + performance.now()) * 1_000)

/** Waits until `isReached()`, looking again whenever `subscribe(look)` calls; what `subscribe` gives ends that. */
export async function until(isReached, subscribe, what) {
  if (isReached()) return
  let end = () => {}
  let timer
  try {
    await new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`${what} took longer than ${TIMEOUT_MS / 1_000} s`)), TIMEOUT_MS)
      end = subscribe(() => {
        if (isReached()) resolve()
      })
    })
  } finally {
    clearTimeout(timer)
    end()
  }
}

/** Waits until every one of `items` is as `isReached(item)` wants it. `on(item, look)` subscribes; what it gives ends that. */
export async function untilEach(items, isReached, on, what) {
  const left = new Set(items.filter((item) => !isReached(item)))
  await until(
    () => left.size === 0,
    (look) => {
      const ends = [...left].map((item) =>
        on(item, () => {
          if (isReached(item)) left.delete(item)
          look()
        }),
      )
      return () => ends.forEach((end) => end())
    },
    what,
  )
}

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)

/** Runs clients until standard input ends. */
export async function run(open) {
  const [folder, count] = process.argv.slice(-2)
  const members = []
  for (let number = 0; number < Number(count); number += 1) {
    const own = join(folder, String(number))
    mkdirSync(own, { recursive: true })
    members.push(await open(own))
  }
  say({ reply: null })
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line)
    try {
      say({ reply: (await handle(members, command)) ?? null })
    } catch (error) {
      say({ failed: String(error?.message ?? error) })
    }
  }
  process.exit(0)
}

async function handle(members, command) {
  const [first] = members
  const all = (act) => Promise.all(members.map(act))
  switch (command.do) {
    case "clock":
      return wallUs()
    case "connect":
      return void (await all((member) => member.connect(command.url)))
    case "disconnect":
      return void (await all((member) => member.disconnect()))
    case "create_texts":
      return first.createTexts(command.count)
    case "open_texts":
      return void (await all((member) => member.openTexts(command.ids)))
    case "type":
      return type(first, command.edits, command.every_us)
    case "watch": {
      const watched = members.map((member) => see(member, command.edits))
      say("ready")
      return Promise.all(watched)
    }
    case "await_characters":
      return Math.max(...(await all((member) => reach(member, command.count))))
    case "create_small":
      return first.createSmall(command.count, command.changes)
    case "open_small":
      await all((member) => member.openSmall(command.ids, command.changes))
      return wallUs()
    case "settle":
      await all((member) => member.settle())
      return wallUs()
    case "texts":
      return texts(members)
    default:
      throw new Error(`this client does not know how to ${command.do}`)
  }
}

/** The character that is typed where a text has this length so far, as `afield_benches::protocol::letter` has it. */
const letter = (length) => String.fromCharCode(97 + ((Math.imul(length + 1, 2_654_435_761) >>> 16) % 26))

async function type(member, edits, everyUs) {
  const lengths = member.readTexts().map((text) => text.length)
  const start = performance.now()
  const called = []
  for (let number = 0; number < edits; number += 1) {
    const wait = start + ((number + 1) * everyUs) / 1_000 - performance.now()
    // A timer of Node has whole milliseconds.
    if (wait >= 1) await after(Math.floor(wait))
    const place = number % lengths.length
    called.push(wallUs())
    member.append(place, lengths[place], letter(lengths[place]))
    lengths[place] += 1
  }
  return called
}

/** Waits for so many more characters and gives the moment at which each was seen. */
function see(member, edits) {
  const start = member.total()
  const seen = []
  const isReached = () => {
    const here = member.total() - start
    for (const moment = wallUs(); seen.length < here; ) seen.push(moment)
    return seen.length >= edits
  }
  return until(isReached, (look) => member.onGrowth(look), "watching").then(() => seen)
}

/** Waits until there are so many characters and gives the moment. */
async function reach(member, count) {
  let moment = wallUs()
  const isReached = () => {
    moment = wallUs()
    return member.total() >= count
  }
  await until(isReached, (look) => member.onGrowth(look), "waiting for characters")
  return moment
}

function texts(members) {
  const [first, ...others] = members.map((member) => member.readTexts())
  for (const other of others) {
    if (JSON.stringify(other) !== JSON.stringify(first)) throw new Error("the texts of two clients are not equal")
  }
  return first
}

/** What the small documents hold: as an application for tasks would have them. No two are alike. */
export const task = (number) => ({
  title: `Task number ${number}`,
  project: `project-${number % 17}`,
  done: number % 3 === 0,
  priority: 0,
  due: 1_767_225_600 + number * 3_600,
})
