//! Flags: one for each key, made of the table of keys.

use super::keys::{KEYS, Key};
use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command, FromArgMatches};

/// The key whose flag all commands take: it is declared with them.
const TAKEN_EVERYWHERE: &str = "data";

/// The flags of a command line that are keys, with what was given.
#[derive(Debug, Default)]
pub struct Flags(pub(super) Vec<(&'static Key, String)>);

/// What a flag was given cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("give {}", .0.wanted)]
struct ParseFlagError(&'static Key);

fn keys_with_flags() -> impl Iterator<Item = (&'static Key, &'static str)> {
    let with_flag = |key: &'static Key| key.flag.as_deref().map(|flag| (key, flag));
    KEYS.iter().filter(|key| key.name != TAKEN_EVERYWHERE).filter_map(with_flag)
}

impl clap::Args for Flags {
    fn augment_args(command: Command) -> Command {
        command.args(keys_with_flags().map(|(key, flag)| argument(key, flag)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for (key, flag) in keys_with_flags() {
            let given = matches.try_get_one::<String>(flag);
            let given = given.map_err(|error| clap::Error::raw(ErrorKind::InvalidValue, error))?;
            self.0.extend(given.map(|text| (key, text.clone())));
        }
        Ok(())
    }
}

fn argument(key: &'static Key, flag: &'static str) -> Arg {
    let default = super::show::default_of(key).map(|default| format!(" [default: {default}]")).unwrap_or_default();
    let help = format!("{}{default} [env: {}]", key.about.trim_end_matches('.'), key.variable);
    let argument = Arg::new(flag).long(flag).value_name(key.value).help(help).value_parser(move |text: &str| {
        let is_understood = (key.set)(&mut super::Config::default(), text).is_some();
        is_understood.then(|| text.to_owned()).ok_or(ParseFlagError(key))
    });
    if key.value == <bool as super::setting::Setting>::VALUE {
        return argument.num_args(0..=1).require_equals(true).default_missing_value("true");
    }
    argument
}
