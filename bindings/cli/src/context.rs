//! Which store and which space a command works on.

use crate::arguments::Global;
use crate::failure::Failure;
use crate::output::{self, Output};
use afield::{
    Collection, OpenError, ReadOnlyReplica, ReadOnlySpace, Replica, ReplicaError, Space, SpaceError, SpaceId,
};
use etcetera::BaseStrategy;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the store is unless somebody says otherwise: in the platform's folder for an application's data.
pub(crate) fn default_store() -> PathBuf {
    match etcetera::choose_base_strategy() {
        Ok(folders) => folders.data_dir().join("afield").join("store.db"),
        // Without a home folder there is still the present one.
        Err(_) => PathBuf::from("afield-store.db"),
    }
}

/// Milliseconds since the Unix epoch by the system's clock.
pub(crate) fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Opens the store, which has to exist.
pub(crate) fn open(global: &Global) -> Result<Replica, Failure> {
    check_store(&global.store)?;
    open_or_make(global)
}

/// Checks that a file is there with something in it: SQLite would make a database of one that is empty.
fn check_store(path: &Path) -> Result<(), Failure> {
    match path.metadata() {
        Ok(about) if about.is_dir() => Err(Failure::Folder(path.to_owned())),
        Ok(about) if about.is_file() && about.len() == 0 => Err(Failure::Empty(path.to_owned())),
        Ok(_) => Ok(()),
        // One that cannot be looked at says more when it is opened.
        Err(_) if path.exists() => Ok(()),
        Err(_) => Err(Failure::NoStore(path.to_owned())),
    }
}

/// Opens the store where nobody else has it open.
pub(crate) fn open_if_free(global: &Global) -> Option<Replica> {
    Replica::options().writer_wait(Duration::ZERO).open(&global.store).ok()
}

/// Opens the store, making it and its folder where there is none.
pub(crate) fn open_or_make(global: &Global) -> Result<Replica, Failure> {
    let path = &global.store;
    if path.is_dir() {
        return Err(Failure::Folder(path.clone()));
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_folder(folder).map_err(Failure::file(folder))?;
    }
    let is_made = make_file(path);
    let mut options = Replica::options().writer_wait(Duration::from_secs(u64::from(global.wait)));
    if let Some(author) = &global.author {
        options = options.author(author);
    }
    let opened = options.open(path);
    if is_made && opened.is_err() {
        // An empty file would pass for a store. One that cannot be removed is told apart by what it holds.
        let _ = std::fs::remove_file(path);
    }
    opened.map_err(|source| Failure::Open { path: path.clone(), source })
}

/// Makes a folder, and those above it, for their owner alone; one that is there stays as it is.
fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Makes the file of a new store, readable by its owner alone: SQLite takes an empty file for a new database, and gives
/// those beside it the same rights. Whether it was made; what keeps it from that keeps the store from opening, which
/// says so.
fn make_file(path: &Path) -> bool {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).is_ok()
}

/// Opens the store for reading, beside whoever writes it.
pub(crate) fn view(global: &Global) -> Result<ReadOnlyReplica, Failure> {
    check_store(&global.store)?;
    let open = || ReadOnlyReplica::open(&global.store);
    let opened = match open() {
        // Whoever writes brings it to the present version first.
        Err(ReplicaError::Open(OpenError::Older { .. })) => {
            drop(self::open(global)?);
            open()
        }
        opened => opened,
    };
    opened.map_err(|source| Failure::Open { path: global.store.clone(), source })
}

/// The space that a command works on: the one asked for, or the only one.
pub(crate) fn space(replica: &Replica, global: &Global) -> Result<Space, Failure> {
    space_called(replica, global.space.as_deref())
}

/// The space of that name or id, or the only one.
pub(crate) fn space_called(replica: &Replica, wanted: Option<&str>) -> Result<Space, Failure> {
    choose(replica.spaces()?, |space| (space.id(), space.name()), wanted)
}

/// Checks that a name may be given to a new space: it has one, and no other space of this device is called that.
pub(crate) fn check_name(replica: &Replica, id: Option<SpaceId>, name: &str) -> Result<(), Failure> {
    if name.trim().is_empty() {
        return Err(Failure::SpaceUnnamed);
    }
    let is_taken = replica.spaces()?.iter().any(|space| space.name() == name && Some(space.id()) != id);
    if is_taken { Err(Failure::SpaceTaken { name: name.to_owned() }) } else { Ok(()) }
}

fn choose<S>(spaces: Vec<S>, of: impl Fn(&S) -> (SpaceId, &str), wanted: Option<&str>) -> Result<S, Failure> {
    let known = || spaces.iter().map(&of).map(|(id, name)| named(id, name)).collect();
    let is_wanted = |space: &S| match (wanted, of(space)) {
        (None, _) => true,
        (Some(wanted), (id, name)) => name == wanted || id.to_string() == wanted.to_lowercase(),
    };
    let is_id = |space: &S| wanted.is_some_and(|wanted| of(space).0.to_string() == wanted.to_lowercase());
    let mut fitting = spaces.iter().enumerate().filter(|(_, space)| is_wanted(space));
    let first = match (spaces.iter().position(is_id), fitting.next(), fitting.next()) {
        (Some(at), _, _) | (None, Some((at, _)), None) => at,
        (None, Some(_), Some(_)) => return Err(Failure::SpaceAmbiguous { known: known() }),
        (None, None, _) if spaces.is_empty() => return Err(Failure::NoSpace),
        (None, None, _) => return Err(Failure::SpaceUnknown { known: known() }),
    };
    spaces.into_iter().nth(first).ok_or(Failure::NoSpace)
}

/// A space in words; one that was joined without a name has its id for one.
pub(crate) fn named(id: SpaceId, name: &str) -> String {
    if name == id.to_string() { name.to_owned() } else { format!("{name:?} ({id})") }
}

/// Opens the store for reading and chooses the space.
pub(crate) fn view_space(global: &Global) -> Result<ReadOnlySpace, Failure> {
    choose_view(&view(global)?, global)
}

/// The space that a command reads: the one asked for, or the only one.
pub(crate) fn choose_view(replica: &ReadOnlyReplica, global: &Global) -> Result<ReadOnlySpace, Failure> {
    view_called(replica, global.space.as_deref())
}

/// The space of that name or id, or the only one, to be read.
pub(crate) fn view_called(replica: &ReadOnlyReplica, wanted: Option<&str>) -> Result<ReadOnlySpace, Failure> {
    choose(replica.spaces()?, |space| (space.id(), space.name()), wanted)
}

/// Opens the store and chooses the space: what most commands begin with. The replica has to outlive the space's sync.
pub(crate) fn open_space(global: &Global) -> Result<(Replica, Space), Failure> {
    let replica = open(global)?;
    let space = space(&replica, global)?;
    Ok((replica, space))
}

/// A collection whose edits carry the message that was given.
pub(crate) fn collection(space: &Space, name: &str, global: &Global) -> Result<Collection<()>, Failure> {
    let collection = space.collection::<()>(name)?;
    Ok(match &global.message {
        Some(message) => collection.with_message(message),
        None => collection,
    })
}

/// A collection's name, which has to be one: reading asks for it by its entities alone.
pub(crate) fn collection_name(name: &str) -> Result<afield::document::Collection, Failure> {
    Ok(name.parse().map_err(SpaceError::Collection)?)
}

/// Says on stderr that nothing is in a collection yet: its name may be mistyped.
pub(crate) fn note_if_new(space: &Space, collection: &str, output: Output) -> Result<(), Failure> {
    let known = space.collections().map_err(Failure::Read)?;
    if !output.is_for_a_person() || known.iter().any(|known| known == collection) {
        return Ok(());
    }
    let there = if known.is_empty() { String::new() } else { format!("; there is {}", known.join(", ")) };
    output::tell_wrapped(&format!("afield: nothing is in {collection} yet{there}"), 2);
    Ok(())
}

/// The file beside another whose name has a suffix more.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
