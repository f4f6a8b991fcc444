// The program, as a process with a folder of its own.
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const BINARY = process.env.SIMDECK_TEST_BINARY;
export const API_KEY = "sd_browser_0123456789abcdef0123456789ab";
export const PUSH_KEY = "push-key-of-the-browser-tests";

/// Whether this program has a demo fleet.
export const hasDemo = () =>
  execFileSync(BINARY, ["serve", "--help"], { encoding: "utf8" }).includes("--demo");

export class Simdeck {
  /// Starts it and waits until it listens. `settings` are variables beside those that all tests share.
  static async start({ demo = false, settings = {} } = {}) {
    const simdeck = new Simdeck();
    simdeck.folder = mkdtempSync(join(tmpdir(), "simdeck-browser-"));
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("SIMDECK_"));
    const env = {
      ...Object.fromEntries(inherited),
      SIMDECK_PUBLIC_LISTEN: "127.0.0.1:0",
      SIMDECK_INTERNAL_LISTEN: "127.0.0.1:0",
      SIMDECK_PUSH_KEY: PUSH_KEY,
      SIMDECK_API_KEY: API_KEY,
      SIMDECK_DISK_RESERVE: "0",
      ...settings,
    };
    const args = ["serve", ...(demo ? ["--demo"] : [])];
    const stdio = ["ignore", "ignore", "pipe"];
    simdeck.process = spawn(BINARY, args, { cwd: simdeck.folder, env, stdio });
    simdeck.ended = new Promise((resolve) => simdeck.process.once("close", resolve));
    try {
      await simdeck.listen();
    } catch (error) {
      await simdeck.end();
      throw error;
    }
    return simdeck;
  }

  /// Reads its log, which names the addresses when it is ready. The rest is read too, so that it never
  /// waits for us.
  listen() {
    const seen = [];
    return new Promise((resolve, reject) => {
      const lines = createInterface({ input: this.process.stderr });
      lines.on("line", (line) => {
        const address = /internal\.address=(\S+)/.exec(line);
        const outside = /public\.address=(\S+)/.exec(line);
        if (outside) this.publicUrl = `http://${outside[1]}`;
        if (address) {
          this.url = `http://${address[1]}`;
          resolve();
        }
        if (!this.url) seen.push(line);
      });
      lines.on("close", () => reject(new Error(`simdeck ended:\n${seen.join("\n")}`)));
      this.process.once("error", reject);
    });
  }

  /// Asks the API as a program does.
  async ask(path, options = {}) {
    const answer = await fetch(this.url + path, {
      ...options,
      headers: { "X-API-Key": API_KEY, ...options.headers },
    });
    return answer.json();
  }

  /// Sends a record of a kind to the public address, signed as SmartHub does it.
  async push(kind, record) {
    const datePush = String(Math.floor(Date.now() / 1000));
    const signature = createHash("sha256").update(PUSH_KEY + datePush).digest("hex");
    const body = JSON.stringify({ datePush, signature, ...record });
    const answer = await fetch(`${this.publicUrl}/v1/${kind}`, { method: "POST", body });
    if (!answer.ok) throw new Error(`${kind}: ${answer.status} ${await answer.text()}`);
  }

  /// Asks until the answer is as it should be.
  async until(path, isRight) {
    const guard = Date.now() + 60_000;
    for (;;) {
      const answer = await this.ask(path);
      if (isRight(answer)) return answer;
      if (Date.now() > guard) throw new Error(`${path}: ${JSON.stringify(answer)}`);
    }
  }

  async end() {
    this.process.kill("SIGTERM");
    await this.ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
