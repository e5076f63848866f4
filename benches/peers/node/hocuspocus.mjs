// Hocuspocus: its server with the SQLite extension, and its provider with Yjs documents.
//
// The client keeps nothing on disk: neither Yjs nor Hocuspocus has a store for Node that its documentation recommends.

import { randomUUID } from "node:crypto"
import { join } from "node:path"
import { SQLite } from "@hocuspocus/extension-sqlite"
import { HocuspocusProvider, HocuspocusProviderWebsocket } from "@hocuspocus/provider"
import { Server } from "@hocuspocus/server"
import WebSocket from "ws"
import * as Y from "yjs"
import { run, task, untilEach } from "./agent.mjs"

/**
 * Bounds of the server against strangers, which 1,000 documents over one connection run into: by default 100 documents may
 * be asked for, and 1,000 messages sent, before the first answer.
 */
const PENDING_DOCUMENTS_MAX = 100_000
const PENDING_MESSAGES_MAX = 1_000_000

async function serve(folder) {
  const server = new Server({
    address: "127.0.0.1",
    port: 0,
    quiet: true,
    maxPendingDocuments: PENDING_DOCUMENTS_MAX,
    maxUnauthenticatedQueueMessages: PENDING_MESSAGES_MAX,
    extensions: [new SQLite({ database: join(folder, "db.sqlite") })],
  })
  await server.listen()
  process.stdout.write(`${JSON.stringify({ address: `127.0.0.1:${server.address.port}` })}\n`)
}

class Member {
  #socket
  #documents = new Map()
  #texts = []

  connect(url) {
    if (this.#socket) {
      void this.#socket.connect()
      return
    }
    this.#socket = new HocuspocusProviderWebsocket({ url, WebSocketPolyfill: WebSocket })
    for (const name of this.#documents.keys()) this.#provide(name)
  }

  async disconnect() {
    const isOver = () => this.#socket.status === "disconnected"
    const ended = untilEach([this.#socket], isOver, (socket, look) => listen(socket, "status", look), "disconnecting")
    this.#socket.disconnect()
    await ended
  }

  createTexts(count) {
    const names = Array.from({ length: count }, () => randomUUID())
    names.forEach((name) => this.#text(name))
    return names
  }

  async openTexts(names) {
    names.forEach((name) => this.#text(name))
    await this.settle()
  }

  createSmall(count, changes) {
    return Array.from({ length: count }, (_, number) => {
      const name = randomUUID()
      const { document } = this.#open(name)
      const map = document.getMap("task")
      document.transact(() => Object.entries(task(number)).forEach(([key, value]) => map.set(key, value)))
      for (let priority = 1; priority < changes; priority += 1) map.set("priority", priority)
      return name
    })
  }

  async openSmall(names, changes) {
    const documents = names.map((name) => this.#open(name).document)
    const isHere = (document) => document.getMap("task").get("priority") === changes - 1
    await untilEach(documents, isHere, (document, look) => listen(document, "update", look), "getting documents")
  }

  /** The server says that it has applied every change; it stores them later. */
  async settle() {
    const providers = [...this.#documents.values()].map(({ provider }) => provider)
    const isSettled = (provider) => provider.synced && !provider.hasUnsyncedChanges
    const on = (provider, look) => {
      const ends = ["synced", "unsyncedChanges"].map((event) => listen(provider, event, look))
      return () => ends.forEach((end) => end())
    }
    await untilEach(providers, isSettled, on, "the server's word")
  }

  append(place, length, letter) {
    this.#texts[place].insert(length, letter)
  }

  readTexts() {
    return this.#texts.map((text) => text.toString())
  }

  total() {
    return this.#texts.reduce((total, text) => total + text.length, 0)
  }

  onGrowth(look) {
    this.#texts.forEach((text) => text.observe(look))
    return () => this.#texts.forEach((text) => text.unobserve(look))
  }

  #text(name) {
    this.#texts.push(this.#open(name).document.getText("body"))
  }

  #open(name) {
    const opened = { document: new Y.Doc(), provider: undefined }
    this.#documents.set(name, opened)
    if (this.#socket) this.#provide(name)
    return opened
  }

  #provide(name) {
    const opened = this.#documents.get(name)
    opened.provider = new HocuspocusProvider({ websocketProvider: this.#socket, name, document: opened.document })
    opened.provider.attach()
  }
}

function listen(emitter, event, look) {
  emitter.on(event, look)
  return () => emitter.off(event, look)
}

if (process.argv[2] === "serve") await serve(process.argv[3])
else await run(() => new Member())
