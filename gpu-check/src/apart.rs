//! Groups of parts in processes of their own: what spoils the device for one process, kills it or never ends costs that part
//! alone, and another process goes on behind it.
//!
//! Must never know what parts do.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use snnc::Precision;

use crate::outcome::{Outcome, Status};
use crate::parts::Event;

/// How long a process may take to end when it has nothing more to do, or was killed.
const GRACE: Duration = Duration::from_secs(20);
/// How long the interpreter may take, which never hangs but is slow where models are large.
const INTERPRETED: Duration = Duration::from_secs(3600);
/// Lines of a process's complaints that are kept, the last ones.
const LINES: usize = 30;
/// Parts of a group that may spoil a process; behind them the rest is left out.
const FAULTS: usize = 8;

/// How processes are started.
#[derive(Clone, Debug)]
pub struct Processes {
    /// The program: this one.
    pub program: PathBuf,
    /// Its arguments besides those that name parts.
    pub arguments: Vec<OsString>,
    /// How long a part may say nothing.
    pub limit: Duration,
}

/// What a process is to do.
#[derive(Clone, Copy)]
struct Request {
    group: usize,
    from: usize,
    each_kernel: Option<Precision>,
}

/// How a process ended.
enum End {
    /// Nothing is left to do.
    Done,
    /// By itself, behind a part that spoilt the device.
    Lost,
    /// In another way, which is a failure.
    Broken(String),
}

/// What is known of a process that runs.
#[derive(Default)]
struct Watched {
    began: usize,
    name: String,
    kernels: Option<Precision>,
    /// Whether the part that began last has a check that failed.
    failed: bool,
    is_interpreting: bool,
    end: Option<Event>,
    complaints: VecDeque<String>,
}

/// What the threads that listen to a process pass on.
enum Heard {
    Event(Event),
    Complaint(String),
}

impl Processes {
    /// Runs all parts of a group, telling what comes out. `name` is put before what happens outside of all parts.
    pub fn run(&self, group: usize, name: &str, tell: &mut dyn FnMut(Event)) {
        let spoilt = self.follow(Request { group, from: 0, each_kernel: None }, name, tell);
        for precision in spoilt {
            // Which of its kernels was it?
            self.follow(Request { group, from: 0, each_kernel: Some(precision) }, name, tell);
        }
    }

    /// Runs all parts from that of the request on; gives the precisions in which kernels spoilt a process.
    fn follow(&self, mut request: Request, name: &str, tell: &mut dyn FnMut(Event)) -> Vec<Precision> {
        let mut spoilt = Vec::new();
        for _ in 0..FAULTS {
            let (end, watched) = self.process(request, tell);
            match end {
                End::Done => return spoilt,
                End::Lost if watched.failed => {}
                End::Lost => tell(failed(&watched.name, "the device can no longer be used behind it")),
                End::Broken(how) if watched.began == 0 => {
                    tell(failed(&format!("{name}.start"), &how));
                    return spoilt;
                }
                End::Broken(how) if watched.end == Some(Event::Done) => {
                    tell(failed(&format!("{name}.end"), &how));
                    return spoilt;
                }
                End::Broken(how) => tell(failed(&watched.name, &how)),
            }
            spoilt.extend(watched.kernels);
            request.from += watched.began;
        }
        let why = format!("{FAULTS} processes were spoilt before");
        tell(Event::Checked(Outcome::skipped(format!("{name}, all that is left"), why)));
        spoilt
    }

    /// Runs one process to its end.
    fn process(&self, request: Request, tell: &mut dyn FnMut(Event)) -> (End, Watched) {
        let mut watched = Watched::default();
        let end = match self.start(request) {
            Ok(mut child) => {
                let heard = listen(&mut child);
                let is_late = !watched.listen(&heard, self.limit, tell);
                let ended = end_of(&mut child, is_late);
                // What it said at last.
                watched.listen(&heard, Duration::from_millis(500), tell);
                watched.judge(is_late.then_some(self.limit), ended)
            }
            Err(error) => End::Broken(format!("the process does not start: {error}")),
        };
        (end, watched)
    }

    fn start(&self, request: Request) -> std::io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.arg("--group").arg(request.group.to_string()).arg("--from").arg(request.from.to_string());
        if let Some(precision) = request.each_kernel {
            command.arg("--each-kernel").arg(precision.name());
        }
        // The process ends with this one, whose end of its input is closed then.
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }
}

impl Watched {
    /// Listens until the process says no more, or for longer than the limit to nothing; whether it has said all.
    fn listen(&mut self, heard: &Receiver<Heard>, limit: Duration, tell: &mut dyn FnMut(Event)) -> bool {
        let mut until = Instant::now() + limit;
        loop {
            match heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Heard::Event(event)) => {
                    self.hear(event, tell);
                    // The interpreter comes to an end by itself; whoever has said all has little left to do.
                    let more = if self.is_interpreting { INTERPRETED } else { limit };
                    until = Instant::now() + if self.end.is_none() { more } else { GRACE };
                }
                Ok(Heard::Complaint(line)) => {
                    self.complaints.push_back(line);
                    if self.complaints.len() > LINES {
                        self.complaints.pop_front();
                    }
                }
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
    }

    fn hear(&mut self, event: Event, tell: &mut dyn FnMut(Event)) {
        match &event {
            Event::Began { name, kernels } => {
                self.began += 1;
                (self.name, self.kernels, self.failed) = (name.clone(), *kernels, false);
            }
            Event::Checked(outcome) => self.failed |= outcome.status == Status::Failed,
            Event::Interpreting(begins) => {
                self.is_interpreting = *begins;
                return;
            }
            Event::Measured(_) => {}
            Event::Lost | Event::Done => {
                self.end = Some(event);
                return;
            }
        }
        tell(event);
    }

    fn judge(&self, late: Option<Duration>, ended: Option<ExitStatus>) -> End {
        let how = match (&self.end, ended) {
            (Some(Event::Lost), _) => return End::Lost,
            (Some(Event::Done), Some(status)) if status.success() => return End::Done,
            (None, Some(status)) if status.success() => "the process ended before it was done".to_owned(),
            (_, Some(status)) => format!("the process died: {status}"),
            (Some(_), None) => "the process does not end".to_owned(),
            (None, None) => {
                let limit = late.unwrap_or(GRACE).as_secs();
                format!("the process said nothing for {limit} s (--limit) and was ended")
            }
        };
        let said: Vec<&str> = self.complaints.iter().map(String::as_str).collect();
        End::Broken(if said.is_empty() { how } else { format!("{how}; it said:\n{}", said.join("\n")) })
    }
}

fn failed(name: &str, detail: &str) -> Event {
    Event::Checked(Outcome::failed(name, detail))
}

/// Threads that pass on what a process says.
fn listen(child: &mut Child) -> Receiver<Heard> {
    let (sender, heard) = channel();
    if let Some(out) = child.stdout.take() {
        pass_on(out, sender.clone(), |line| Event::from_line(&line).map_or(Heard::Complaint(line), Heard::Event));
    }
    if let Some(err) = child.stderr.take() {
        pass_on(err, sender, Heard::Complaint);
    }
    heard
}

fn pass_on(from: impl Read + Send + 'static, to: Sender<Heard>, heard: impl Fn(String) -> Heard + Send + 'static) {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if to.send(heard(text)).is_err() {
                return;
            }
            line.clear();
        }
    });
}

/// How a process ended, waiting for a while unless it is late already; one that has not ended is killed. A process that waits
/// for its device may outlive that, and is left alone.
fn end_of(child: &mut Child, is_late: bool) -> Option<ExitStatus> {
    let status = if is_late { child.try_wait().ok().flatten() } else { wait(child) };
    if status.is_none() {
        // It may just have ended, which is as good.
        let _ = child.kill();
        wait(child);
    }
    status
}

fn wait(child: &mut Child) -> Option<ExitStatus> {
    let until = Instant::now() + GRACE;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(5)),
            Ok(None) | Err(_) => return None,
        }
    }
}
