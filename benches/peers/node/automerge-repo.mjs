// Automerge Repo: a sync server as the project's own is made (WebSocket, files, nothing announced by itself), and clients.

import { createServer } from "node:http"
import { splice } from "@automerge/automerge"
import { Repo } from "@automerge/automerge-repo"
import { WebSocketClientAdapter, WebSocketServerAdapter } from "@automerge/automerge-repo-network-websocket"
import { NodeFSStorageAdapter } from "@automerge/automerge-repo-storage-nodefs"
import { WebSocketServer } from "ws"
import { run, task, until, untilEach } from "./agent.mjs"

const SERVER = "storage-server"

async function serve(folder) {
  const http = createServer()
  const repo = new Repo({
    network: [new WebSocketServerAdapter(new WebSocketServer({ server: http }))],
    storage: new NodeFSStorageAdapter(folder),
    peerId: SERVER,
    // As the project's sync server has it: documents go to those who ask for them.
    sharePolicy: async () => false,
  })
  process.on("SIGTERM", () => void repo.shutdown().then(() => process.exit(0)))
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve))
  process.stdout.write(`${JSON.stringify({ address: `127.0.0.1:${http.address().port}` })}\n`)
}

class Member {
  #repo
  #adapter
  #texts = []
  #small = []

  constructor(folder) {
    this.#repo = new Repo({ storage: new NodeFSStorageAdapter(folder) })
  }

  connect(url) {
    this.#adapter = new WebSocketClientAdapter(url)
    this.#repo.networkSubsystem.addNetworkAdapter(this.#adapter)
  }

  disconnect() {
    this.#repo.networkSubsystem.removeNetworkAdapter(this.#adapter)
  }

  async createTexts(count) {
    this.#texts.push(...Array.from({ length: count }, () => this.#repo.create({ body: "" })))
    await this.#repo.flush()
    return this.#texts.map((handle) => handle.url)
  }

  async openTexts(urls) {
    this.#texts.push(...(await this.#find(urls)))
  }

  async createSmall(count, changes) {
    for (let number = 0; number < count; number += 1) {
      const handle = this.#repo.create(task(number))
      for (let priority = 1; priority < changes; priority += 1) handle.change((doc) => void (doc.priority = priority))
      this.#small.push(handle)
    }
    await this.#repo.flush()
    return this.#small.map((handle) => handle.url)
  }

  async openSmall(urls, changes) {
    this.#small.push(...(await this.#find(urls)))
    const isHere = (handle) => handle.doc().priority === changes - 1
    await untilEach(this.#small, isHere, (handle, look) => listen(handle, "change", look), "getting documents")
  }

  /** The server's heads, as it tells them, are ours; it stores what it has within 100 ms. */
  async settle() {
    const storage = () => this.#repo.getStorageIdOfPeer(SERVER)
    await until(() => storage() !== undefined, (look) => listen(this.#repo.networkSubsystem, "peer", look), "connecting")
    const heads = (handle) => JSON.stringify([...(handle.getSyncInfo(storage())?.lastHeads ?? [])].sort())
    const isSettled = (handle) => heads(handle) === JSON.stringify([...handle.heads()].sort())
    const handles = [...this.#texts, ...this.#small]
    await untilEach(handles, isSettled, (handle, look) => listen(handle, "remote-heads", look), "the server's word")
  }

  append(place, length, letter) {
    this.#texts[place].change((doc) => splice(doc, ["body"], length, 0, letter))
  }

  readTexts() {
    return this.#texts.map((handle) => handle.doc().body)
  }

  total() {
    return this.#texts.reduce((total, handle) => total + handle.doc().body.length, 0)
  }

  onGrowth(look) {
    const ends = this.#texts.map((handle) => listen(handle, "change", look))
    return () => ends.forEach((end) => end())
  }

  /** Asks only once the server is there: before that a document counts as not available. */
  async #find(urls) {
    const isThere = () => this.#repo.peers.includes(SERVER)
    await until(isThere, (look) => listen(this.#repo.networkSubsystem, "peer", look), "connecting")
    return Promise.all(urls.map((url) => this.#repo.find(url)))
  }
}

function listen(emitter, event, look) {
  emitter.on(event, look)
  return () => emitter.off(event, look)
}

if (process.argv[2] === "serve") await serve(process.argv[3])
else await run((folder) => new Member(folder))
