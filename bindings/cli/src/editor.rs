//! A person's editor: what is to be edited lies in a file of its own, and comes back parsed or is kept.

use crate::failure::Failure;
use crate::interrupt;
use crate::output;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use tempfile::TempDir;

/// How often what cannot be read is offered again: far more than a person needs, and an end for an editor that is a script.
const ATTEMPTS_MAX: usize = 20;
/// How the line begins that tells in the file what is wrong with it.
const PROBLEM: &str = "// ! ";
/// The editor where nobody named one.
const FALLBACK: &str = if cfg!(windows) { "notepad" } else { "vi" };

/// Something could not be edited.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EditorError {
    #[error("{variable} is no command: a quotation mark in it is not closed")]
    Quotes { variable: &'static str },
    #[error("the editor {program} could not be started")]
    Start { program: String, source: io::Error },
    #[error("the editor has failed ({status}), so nothing was written")]
    Ended { status: ExitStatus },
    #[error("the file to edit could not be made, or read again")]
    File(#[source] io::Error),
    #[error("what was edited cannot be read: {0}")]
    Unreadable(Problem),
}

impl EditorError {
    /// What a person would do next.
    pub(crate) fn next(&self) -> &'static str {
        match self {
            Self::Quotes { .. } | Self::Start { .. } => {
                "set VISUAL or EDITOR to your editor, or change fields without one: `afield edit --help`"
            }
            Self::Ended { .. } => "open it again with `afield edit`",
            Self::File(_) => "check that there is room in the folder for temporary files, which TMPDIR names",
            Self::Unreadable(_) => "open it again with `afield edit`",
        }
    }
}

/// What is wrong with a text that was edited; never its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub(crate) struct Problem {
    /// The line, from 1.
    pub(crate) line: usize,
    /// What is wrong there.
    pub(crate) what: String,
}

/// What came back, and the file that it stands in: gone with this value, unless it is kept.
#[derive(Debug)]
pub(crate) struct Edited<T> {
    pub(crate) value: T,
    draft: Draft,
}

impl<T> Edited<T> {
    /// The value and, where whatever is done with it fails, the file that it came from.
    pub(crate) fn store<R>(self, store: impl FnOnce(T) -> Result<R, Failure>) -> Result<R, Failure> {
        let Self { value, draft } = self;
        store(value).map_err(|failure| draft.keep(failure))
    }
}

/// Lets a person edit a text, until it can be read; `None` where it was left as it was.
pub(crate) fn edit<T>(
    name: &str,
    text: &str,
    read: impl Fn(&str) -> Result<T, Problem>,
) -> Result<Option<Edited<T>>, Failure> {
    let editor = editor()?;
    // An editor hears Ctrl-C too, and has a use for it.
    let _uninterrupted = interrupt::hold()?;
    let mut draft = Draft::new(name, text).map_err(EditorError::File)?;
    let (mut handed_out, mut problem) = (text.to_owned(), None);
    for _ in 0..ATTEMPTS_MAX {
        let ended = open(&editor, &draft.path);
        let after = match draft.read() {
            Ok(after) => after,
            Err(error) => return Err(draft.keep(EditorError::File(error).into())),
        };
        let is_changed = after != handed_out;
        match (ended, &problem) {
            (Err(error), None) if !is_changed => return Err(error.into()),
            (Err(error), _) => return Err(draft.keep(error.into())),
            (Ok(()), None) if !is_changed => return Ok(None),
            (Ok(()), Some(_)) if !is_changed => break,
            (Ok(()), _) => {}
        }
        match read(&after) {
            Ok(value) => return Ok(Some(Edited { value, draft })),
            Err(found) => {
                output::tell_wrapped(&format!("afield: {found}; it is opened again"), 2);
                // The line that says so moves all others down by one.
                let line = found.line + 1;
                if let Err(error) = draft.tell(format!("{PROBLEM}line {line}: {}\n", found.what), &after) {
                    return Err(draft.keep(EditorError::File(error).into()));
                }
                (handed_out, problem) = (after, Some(found));
            }
        }
    }
    let problem = problem.unwrap_or(Problem { line: 1, what: "it was not changed".to_owned() });
    Err(draft.keep(EditorError::Unreadable(problem).into()))
}

/// The words of the editor's command.
fn editor() -> Result<Vec<String>, EditorError> {
    for variable in ["VISUAL", "EDITOR"] {
        let Ok(line) = std::env::var(variable) else { continue };
        let words = shell_words::split(&line).map_err(|_| EditorError::Quotes { variable })?;
        if !words.is_empty() {
            return Ok(words);
        }
    }
    Ok(vec![FALLBACK.to_owned()])
}

fn open(editor: &[String], path: &Path) -> Result<(), EditorError> {
    let (program, options) =
        editor.split_first().map_or((FALLBACK, Default::default()), |(first, rest)| (first.as_str(), rest));
    let status = Command::new(program).args(options).arg(path).status();
    let status = status.map_err(|source| EditorError::Start { program: program.to_owned(), source })?;
    if status.success() { Ok(()) } else { Err(EditorError::Ended { status }) }
}

/// A file to edit, in a folder that nobody else reads: editors put copies beside what they edit.
#[derive(Debug)]
struct Draft {
    folder: TempDir,
    path: PathBuf,
    /// The line at its beginning that tells what is wrong. A line of the person's that looks like one is theirs.
    told: Option<String>,
}

impl Draft {
    fn new(name: &str, text: &str) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("afield-edit-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let folder = builder.tempdir()?;
        let path = folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(Self { folder, path, told: None })
    }

    /// What the file holds now, without the line that told what was wrong.
    fn read(&self) -> io::Result<String> {
        let text = std::fs::read_to_string(&self.path)?;
        let after = self.told.as_ref().and_then(|told| text.strip_prefix(told.as_str()));
        Ok(after.map(str::to_owned).unwrap_or(text))
    }

    /// Puts a line before what the file holds.
    fn tell(&mut self, line: String, text: &str) -> io::Result<()> {
        std::fs::write(&self.path, format!("{line}{text}"))?;
        self.told = Some(line);
        Ok(())
    }

    /// Leaves the file where it is, and says where.
    fn keep(self, failure: Failure) -> Failure {
        let Self { folder, path, told: _ } = self;
        let _ = folder.keep();
        Failure::Kept { kept: path, source: Box::new(failure) }
    }
}
