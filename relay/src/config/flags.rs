//! Flags: one for each key, made of the table of keys.

use super::keys::{KEYS, Key, REMOVED, Removed};
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

/// There was such a flag once.
#[derive(Debug, thiserror::Error)]
#[error("the key {} is no more: {}", .0.name, .0.instead)]
struct RemovedFlagError(&'static Removed);

fn keys_with_flags() -> impl Iterator<Item = (&'static Key, &'static str)> {
    let with_flag = |key: &'static Key| key.flag.as_deref().map(|flag| (key, flag));
    KEYS.iter().filter(|key| key.name != TAKEN_EVERYWHERE).filter_map(with_flag)
}

impl clap::Args for Flags {
    fn augment_args(command: Command) -> Command {
        with_removed(command.args(keys_with_flags().map(|(key, flag)| argument(key, flag))), REMOVED)
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

/// Adds what there was once: no help shows it, and whoever still gives it is told what to do.
fn with_removed(command: Command, removed: &'static [Removed]) -> Command {
    command.args(removed.iter().map(|removed| {
        let argument = Arg::new(removed.flag).long(removed.flag).hide(true).num_args(0..=1).default_missing_value("");
        argument.value_parser(move |_: &str| Err::<String, _>(RemovedFlagError(removed)))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_that_was_taken_away_says_what_to_do_instead() {
        const GONE: &[Removed] =
            &[Removed { name: "tls.chain", flag: "tls-chain", instead: "it is tls.certificate now" }];
        let command = || with_removed(Command::new("serve"), GONE);
        for given in [&["serve", "--tls-chain", "a.pem"][..], &["serve", "--tls-chain"]] {
            let error = command().try_get_matches_from(given).unwrap_err().to_string();
            assert!(error.contains("the key tls.chain is no more: it is tls.certificate now"), "{error}");
        }
        assert!(!command().render_long_help().to_string().contains("chain"));
        command().try_get_matches_from(["serve"]).expect("the control: nobody has to give it");
    }
}
