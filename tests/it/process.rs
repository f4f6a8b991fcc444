//! A program that a test runs beside itself: its log is read line by line, and it never outlives
//! the test.

use std::{
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

/// Longer than any start on a busy machine takes; a program that says nothing for so long hangs.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// With which the server ends where to start it again would not help.
pub(crate) const WRONG_SETTINGS: i32 = 78;

/// A running program and all that it has written.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    lines: Receiver<String>,
    log: String,
}

impl Process {
    /// Starts it. `remedy` says what to do where the program is not there.
    pub(crate) fn start(name: &'static str, command: &mut Command, remedy: &str) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|err| panic!("cannot start {name} ({err}): {remedy}"));
        let (sender, lines) = channel();
        forward(child.stdout.take().unwrap(), sender.clone());
        forward(child.stderr.take().unwrap(), sender);
        Self { name, child, lines, log: String::new() }
    }

    /// Waits until a line contains each of `wanted`, in any order, and returns those lines.
    pub(crate) fn wait_for(&mut self, wanted: &[&str]) -> Vec<String> {
        let mut found = vec![None; wanted.len()];
        while found.iter().any(Option::is_none) {
            let Ok(line) = self.lines.recv_timeout(SILENCE_MAX) else {
                panic!("{} did not write {wanted:?}, only:\n{}", self.name, self.log);
            };
            for (slot, text) in found.iter_mut().zip(wanted) {
                if slot.is_none() && line.contains(text) {
                    *slot = Some(line.clone());
                }
            }
            self.keep(&line);
        }
        found.into_iter().flatten().collect()
    }

    /// Waits until a line contains `wanted`, if none has yet.
    pub(crate) fn says(&mut self, wanted: &str) {
        if !self.log.contains(wanted) {
            self.wait_for(&[wanted]);
        }
    }

    /// Waits until a line contains `wanted`, or it has ended: then gives its exit code and all that
    /// it said.
    pub(crate) fn comes_to(&mut self, wanted: &str) -> Result<(), (Option<i32>, String)> {
        loop {
            match self.lines.recv_timeout(SILENCE_MAX) {
                Ok(line) => {
                    self.keep(&line);
                    if line.contains(wanted) {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let code = self.child.wait().unwrap().code();
                    return Err((code, std::mem::take(&mut self.log)));
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{} neither wrote {wanted:?} nor ended:\n{}", self.name, self.log)
                }
            }
        }
    }

    /// Its number, for a signal of another kind than [`Process::end`] sends.
    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// Asks it to end as an init system does.
    pub(crate) fn signal_term(&self) {
        rustix::process::kill_process(self.pid(), rustix::process::Signal::TERM).unwrap();
    }

    /// Asks it to end, and returns its whole log once it has.
    pub(crate) fn end(self) -> String {
        self.signal_term();
        self.ended()
    }

    /// Waits for the end that it was asked for, and returns its whole log.
    pub(crate) fn ended(mut self) -> String {
        // Both pipes close when it ends.
        while let Ok(line) = self.lines.recv_timeout(SILENCE_MAX) {
            self.keep(&line);
        }
        assert!(self.child.wait().unwrap().success(), "{} failed:\n{}", self.name, self.log);
        std::mem::take(&mut self.log)
    }

    /// Waits until it has given up by itself, and returns all that it said.
    pub(crate) fn refused(self) -> String {
        self.refused_with(&[1, WRONG_SETTINGS])
    }

    /// The same with one of these exit codes.
    pub(crate) fn refused_with(mut self, codes: &[i32]) -> String {
        while let Ok(line) = self.lines.recv_timeout(SILENCE_MAX) {
            self.keep(&line);
            assert!(!line.contains("Ready"), "{} started:\n{}", self.name, self.log);
        }
        let code = self.child.wait().unwrap().code();
        assert!(code.is_some_and(|code| codes.contains(&code)), "{code:?}: {}", self.log);
        std::mem::take(&mut self.log)
    }

    fn keep(&mut self, line: &str) {
        self.log.push_str(line);
        self.log.push('\n');
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It fails for a program that has ended already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn forward(pipe: impl Read + Send + 'static, to: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if to.send(line).is_err() {
                return;
            }
        }
    });
}

/// For a program that cannot be told to pick a port and say which.
pub(crate) fn free_port() -> u16 {
    let [port] = free_ports();
    port
}

/// Ports that outlive a restart: below those that the system gives to clients, one of which could
/// otherwise sit on a server's port while the server is away. Other processes look elsewhere.
pub(crate) fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    let process = std::process::id() % 1_000 * 20;
    let first = 10_000 + u16::try_from(process).unwrap();
    let mut leased = LEASED.lock().unwrap();
    let mut free = (first..first + 2_000).filter(|port| {
        !leased.contains(port) && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()
    });
    let ports = [(); COUNT].map(|()| free.next().unwrap());
    leased.extend(ports);
    ports
}

/// Ports given out in this process.
static LEASED: Mutex<Vec<u16>> = Mutex::new(Vec::new());
