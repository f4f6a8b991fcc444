// The tests' own RCMS, with routers.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export class Rcms {
  /// Starts it with so many routers; `settings` lead simdeck to it.
  static async start(devices = 45) {
    const rcms = new Rcms();
    const stdio = ["ignore", "pipe", "inherit"];
    rcms.process = spawn(process.env.SIMDECK_TEST_RCMS, ["--devices", String(devices)], { stdio });
    rcms.ended = new Promise((resolve) => rcms.process.once("close", resolve));
    rcms.settings = { SIMDECK_RCMS_POLL_EVERY: "10s" };
    for await (const line of createInterface({ input: rcms.process.stdout })) {
      const [name, value] = line.split("=", 2);
      rcms.settings[name] = value;
      if (name === "SIMDECK_RCMS_CLIENT_SECRET") break;
    }
    return rcms;
  }

  async end() {
    this.process.kill("SIGTERM");
    await this.ended;
  }
}
