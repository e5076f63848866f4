//! The journal on this device: one replica, one space, four collections. All that the app asks of the library stands here and
//! in the screens; nothing lies between the two.

use crate::failure::Failure;
use crate::model::{Answers, Device, Entry, Questionnaire};
use crate::settings::Settings;
use afield::{Collection, DeviceId, EntityId, Query, Replica, Space, SpaceId, Status};
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name of a space that is made here.
const SPACE_NAME: &str = "Journal";

/// The journal on this device.
pub(crate) struct Journal {
    pub(crate) replica: Replica,
    pub(crate) space: Space,
    pub(crate) entries: Collection<Entry>,
    pub(crate) questionnaires: Collection<Questionnaire>,
    pub(crate) answers: Collection<Answers>,
    pub(crate) devices: Collection<Device>,
    pub(crate) settings: Settings,
    settings_path: PathBuf,
    /// The clocks and the calendar that this person goes by.
    pub(crate) zone: TimeZone,
    clock: Clock,
}

/// Where the app has the time from: what is due depends on it.
pub(crate) type Clock = Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;

/// Which entries are listed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Filter {
    pub(crate) mood: Option<u8>,
    pub(crate) activity: Option<String>,
}

impl Journal {
    /// Opens the journal of a store file, making both where there is none. No network, no account, no configuration.
    pub(crate) fn open(store: &Path, zone: TimeZone, clock: Clock) -> Result<Self, Failure> {
        let settings_path = Settings::path(store);
        let settings = Settings::read(&settings_path)?;
        let replica = Replica::open(store)?;
        let spaces = replica.spaces()?;
        let shown = spaces.iter().position(|space| Some(space.id()) == settings.space()).unwrap_or(0);
        let space = match spaces.into_iter().nth(shown) {
            Some(space) => space,
            None => replica.create_space(SPACE_NAME)?,
        };
        let journal = Self::of(replica, space, settings, settings_path, (zone, clock))?;
        journal.introduce_device()?;
        Ok(journal)
    }

    fn of(
        replica: Replica,
        space: Space,
        settings: Settings,
        settings_path: PathBuf,
        (zone, clock): (TimeZone, Clock),
    ) -> Result<Self, Failure> {
        let entries = space.collection::<Entry>("entries")?;
        let answers = space.collection::<Answers>("answers")?;
        // Declared at every start, which costs a look; kept by the library with every change from then on.
        entries.index("day")?;
        entries.search_fields(["title", "text"])?;
        answers.index(["questionnaire", "at"])?;
        let (questionnaires, devices) = (space.collection("questionnaires")?, space.collection("devices")?);
        Ok(Self { replica, space, entries, questionnaires, answers, devices, settings, settings_path, zone, clock })
    }

    /// The entries that a filter leaves, from the latest day back.
    pub(crate) fn days(&self, filter: &Filter, limit: usize) -> Result<Query<Entry>, Failure> {
        let query = match (filter.mood, &filter.activity) {
            (None, None) => self.entries.query("", ())?,
            (Some(mood), None) => self.entries.query("mood = ?", [mood])?,
            (None, Some(activity)) => self.entries.query("has_key(activities, ?)", [activity])?,
            (Some(mood), Some(activity)) => {
                self.entries.query("mood = ? AND has_key(activities, ?)", (mood, activity))?
            }
        };
        Ok(query.order_by_desc("day").limit(limit))
    }

    /// How often each activity was done, by its name.
    pub(crate) fn activities(&self) -> Result<BTreeMap<String, i64>, Failure> {
        let mut counts = BTreeMap::new();
        // As JSON the answer is made of what queries read, and no document is opened for it.
        for (_, entry) in self.entries.json().query("activities IS NOT NULL", ())?.all()? {
            for (name, count) in entry.get("activities").and_then(serde_json::Value::as_object).into_iter().flatten() {
                *counts.entry(name.clone()).or_default() += count.as_i64().unwrap_or(0);
            }
        }
        Ok(counts)
    }

    /// Starts an entry about a day.
    pub(crate) fn write_about(&self, day: jiff::civil::Date) -> Result<EntityId, Failure> {
        Ok(self.entries.insert(&Entry { day: day.to_string(), ..Entry::default() })?)
    }

    pub(crate) fn today(&self) -> jiff::civil::Date {
        (self.clock)().to_zoned(self.zone.clone()).date()
    }

    /// The time, in milliseconds since the Unix epoch.
    pub(crate) fn now_ms(&self) -> i64 {
        (self.clock)().as_millisecond()
    }

    /// Switches sync on with the relay of the settings.
    pub(crate) fn connect(&mut self) -> Result<(), Failure> {
        self.replica.connect(self.settings.relay()?)?;
        self.settings.is_syncing = true;
        self.settings.write(&self.settings_path)
    }

    /// Switches sync off: no thread, socket or timer is left.
    pub(crate) fn disconnect(&mut self) -> Result<(), Failure> {
        self.replica.disconnect();
        self.settings.is_syncing = false;
        self.settings.write(&self.settings_path)
    }

    /// Takes new settings over, and remembers them.
    pub(crate) fn set(&mut self, settings: Settings) -> Result<(), Failure> {
        let is_other_relay = (&settings.relay, &settings.token) != (&self.settings.relay, &self.settings.token);
        settings.write(&self.settings_path)?;
        self.settings = settings;
        self.introduce_device()?;
        if is_other_relay && self.settings.is_syncing {
            self.connect()?;
        }
        Ok(())
    }

    /// Shows another journal from now on: one that was made on another device. What stands in the present one stays here,
    /// and is shown again once its id is joined; one in which nothing stands is left.
    pub(crate) fn join(&mut self, id: SpaceId) -> Result<(), Failure> {
        let space = self.replica.join_space_as(id, SPACE_NAME)?;
        let before = self.space.id();
        let is_empty = self.space.collections()?.iter().all(|name| name == self.devices.name());
        let settings = Settings { journal: Some(id.to_string()), ..self.settings.clone() };
        settings.write(&self.settings_path)?;
        *self = Self::of(
            self.replica.clone(),
            space,
            settings,
            self.settings_path.clone(),
            (self.zone.clone(), self.clock.clone()),
        )?;
        self.introduce_device()?;
        if is_empty && before != id {
            self.replica.leave_space_discarding(before)?;
        }
        Ok(())
    }

    /// Says who writes, and on what.
    fn introduce_device(&self) -> Result<(), Failure> {
        let Settings { author, device_name, .. } = &self.settings;
        self.replica.set_author(Some(author.as_str()).filter(|author| !author.is_empty()));
        let device = self.replica.device();
        match self.devices.query("device = ?", [device])?.ids()?.first() {
            Some(id) => {
                self.devices.edit(*id, |this| this.name.clone_from(device_name))?;
            }
            None if device_name.is_empty() => {}
            None => {
                self.devices.insert(&Device { device, name: device_name.clone() })?;
            }
        }
        Ok(())
    }

    /// What people call the devices.
    pub(crate) fn device_names(&self) -> Result<BTreeMap<DeviceId, String>, Failure> {
        let named = self.devices.list()?.entities.into_iter().map(|(_, device)| (device.device, device.name));
        Ok(named.filter(|(_, name)| !name.is_empty()).collect())
    }

    pub(crate) fn status(&self) -> Result<Status, Failure> {
        Ok(self.replica.status()?)
    }

    /// The names by which entries may be filtered.
    pub(crate) fn activity_names(&self) -> Result<BTreeSet<String>, Failure> {
        Ok(self.activities()?.into_keys().collect())
    }

    /// A moment on this person's clocks.
    pub(crate) fn local(&self, at_ms: i64) -> String {
        match jiff::Timestamp::from_millisecond(at_ms) {
            Ok(at) if at_ms > 0 => at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
            _ => "at no known time".to_owned(),
        }
    }
}
