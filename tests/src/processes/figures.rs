//! CPU time and peak memory of a process, as the system counts them.

use std::time::Duration;

/// How many ticks of `/proc/PID/stat` a second has: Linux fixes `USER_HZ` at 100 on every platform it reports to.
const TICKS_PER_SECOND: u64 = 100;

/// What a process has used so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// CPU time in user and kernel mode, in milliseconds; to the nearest 10.
    pub cpu_ms: u64,
    /// The most memory it ever held, in KiB (`VmHWM`).
    pub peak_kib: u64,
}

impl Figures {
    /// The figures of a running process; nothing where the system does not tell them as Linux does.
    pub fn of(process: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        Some(Self { cpu_ms: cpu_ms(&stat)?, peak_kib: peak_kib(&status)? })
    }

    /// The figures of this process.
    pub fn own() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// The CPU time since earlier figures.
    pub fn cpu_since(&self, earlier: &Self) -> Duration {
        Duration::from_millis(self.cpu_ms.saturating_sub(earlier.cpu_ms))
    }
}

/// Fields 14 and 15, counted after the command's name, which may itself hold spaces and brackets.
fn cpu_ms(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) * 1_000 / TICKS_PER_SECOND)
}

fn peak_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_brackets_and_spaces_does_not_shift_the_fields() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 100 0 0 0 30 12 0 0 20 0 1 0 5 6 7";
        assert_eq!(cpu_ms(stat), Some(420));
        assert_eq!(peak_kib("Name:\tx\nVmHWM:\t    1234 kB\nVmRSS:\t 1 kB\n"), Some(1234));
        assert_eq!(peak_kib("Name:\tx\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_figures() {
        assert!(Figures::own().is_some_and(|figures| figures.peak_kib > 0));
    }
}
