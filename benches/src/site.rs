//! A relay and two devices for a measurement, each a process of its own.

use crate::report::ProcessRow;
use crate::role;
use afield_tests::processes::agent::Command;
use afield_tests::processes::{Access, DeviceProcess, Figures, RelayProcess, Trace, count_syncs};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A relay and two devices, each a process with a folder or file of its own.
#[derive(Debug)]
pub struct Site {
    /// The relay.
    pub relay: RelayProcess,
    /// Who edits and who looks on, in this order.
    pub devices: [DeviceProcess; 2],
    traces: Option<[PathBuf; 3]>,
    _folder: tempfile::TempDir,
}

/// What the relay and the devices had used at a moment.
#[derive(Debug)]
pub struct Moment {
    /// The moment.
    pub started: Instant,
    figures: [Option<Figures>; 3],
    syncs: Option<[u64; 3]>,
}

impl Site {
    /// Starts all three; with `strace` at `tracer`, their syncs are counted.
    ///
    /// # Errors
    ///
    /// There is no temporary folder, or the system does not tell where this executable is.
    pub fn start(tracer: Option<&Path>) -> std::io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        let traces = ["relay.trace", "first.trace", "second.trace"].map(path);
        let trace = |at: &PathBuf| tracer.map(|tracer| Trace::of_syncs(tracer, at.clone()));
        let [of_relay, of_devices @ ..] = &traces;
        let data = path("relay");
        let relay = match trace(of_relay) {
            Some(trace) => RelayProcess::start_traced(&role::relay()?, &data, Access::Open, trace),
            None => RelayProcess::start(&role::relay()?, &data, Access::Open),
        };
        let program = role::device()?;
        let [first, second] = of_devices;
        let devices = [("first.db", first), ("second.db", second)].map(|(name, at)| match trace(at) {
            Some(trace) => DeviceProcess::start_traced(&program, &path(name), &trace),
            None => DeviceProcess::start(&program, &path(name)),
        });
        Ok(Self { relay, devices, traces: tracer.map(|_| traces.clone()), _folder: folder })
    }

    /// Gives both devices one entity, and connects each to an address.
    pub fn share_one_entity(&mut self, urls: &[String; 2]) {
        let [editor, watcher] = &mut self.devices;
        let space = editor.request(&Command::MakeSpace).as_str().unwrap_or_default().to_owned();
        editor.request(&Command::Populate { entities: 1, changes: 1 });
        watcher.request(&Command::JoinSpace { space });
        for (device, url) in self.devices.iter_mut().zip(urls) {
            device.request(&Command::Connect { url: url.clone(), token: None });
            device.sync();
        }
    }

    /// What all three have used so far.
    ///
    /// # Errors
    ///
    /// A trace cannot be read.
    pub fn moment(&self) -> std::io::Result<Moment> {
        let [first, second] = &self.devices;
        let figures = [self.relay.process(), Some(first.process()), Some(second.process())];
        let figures = figures.map(|process| process.and_then(Figures::of));
        let syncs = match &self.traces {
            Some([relay, first, second]) => Some([count_syncs(relay)?, count_syncs(first)?, count_syncs(second)?]),
            None => None,
        };
        Ok(Moment { started: Instant::now(), figures, syncs })
    }

    /// What each process has used since a moment; the peaks are those of its whole life.
    ///
    /// # Errors
    ///
    /// A trace cannot be read.
    pub fn used_since(&self, earlier: &Moment) -> std::io::Result<Vec<ProcessRow>> {
        let now = self.moment()?;
        let names = ["relay", "first device", "second device"].into_iter().enumerate();
        Ok(names
            .map(|(place, name)| {
                let used = now.figures.get(place).copied().flatten().zip(earlier.figures.get(place).copied().flatten());
                let syncs = now.syncs.as_ref().zip(earlier.syncs.as_ref());
                ProcessRow {
                    name: name.to_owned(),
                    cpu_seconds: used.map(|(now, earlier)| now.cpu_since(&earlier).as_secs_f64()),
                    peak_kib: used.map(|(now, _)| now.peak_kib),
                    syncs: syncs.and_then(|(now, earlier)| Some(now.get(place)? - earlier.get(place)?)),
                }
            })
            .collect())
    }
}
