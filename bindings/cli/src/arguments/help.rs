//! What stands below the options in the help of a command. Nobody wraps these lines but their author.

pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed; for `doctor`, a check failed
  2  the command line was not understood
  3  not found: no store, space, entity or relay of that name
  4  the relay was not reached: try again later
  5  the relay wants a token, or another one
  6  the store cannot be used: in use, damaged (an export lacks what is),
     read-only, or the disk is full
  7  refused: by the relay (a space, a change, more than a quota allows), or since
     it was not confirmed with --yes
  8  one side is too old: a newer version is needed
  130  interrupted; `watch` and `status --watch` end so with 0

With --json every command prints one JSON document, lists print one a line, and
an error is an object {error, code, class, next} on stderr. `afield relay` has
exit codes of its own: see `afield relay --help`.

Start with `afield demo`, then `afield init`.";

pub(super) const INIT: &str = "\
Examples:
  afield init
      makes the store, with the space \"Home\"
  afield --store ~/work.db --space Work init
      makes a store elsewhere, with a space of another name
  afield init --join 0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e --space Home
      makes the store of a second device, which calls the space \"Home\" too;
      `afield space list` on the first one shows the id, and without --join
      it would be another space of that name";

pub(super) const SPACE: &str = "\
Examples:
  afield space list
  afield space create Work
  afield space join 0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e --name Work
      a space of yours, made on another device
  afield space join --invitation --name Work
      a space that somebody invited you to
  afield --space Work list";

pub(super) const EDIT: &str = "\
Your editor is $VISUAL, or $EDITOR, or vi. A whole entity is JSON in it; a text
is {\"$text\": \"…\"} or, line by line, {\"$text\": [\"…\", \"…\"]}. A field that is
a text or a string is plain text; one with marks and blocks is JSON, too. Only
what you changed is written. What others changed meanwhile stays, and characters
and marks of texts merge. If the editor fails, or
nothing was changed, nothing is written; JSON that cannot be read is offered
again, and what cannot be stored is kept in a file.

Examples:
  afield edit notes 5f4a3b2c1d0e
      opens the whole entity
  afield edit notes 5f4a3b2c1d0e body
      opens one field; address.city and tags[0] are fields too
  afield edit notes 5f4a3b2c1d0e title=Milk body~='Dear all' votes+=1
      changes fields without an editor: see `afield put --help`
  EDITOR='code --wait' afield edit notes 5f4a3b2c1d0e";

pub(super) const GET: &str = "\
Examples:
  afield get notes 5f4a3b2c1d0e
  afield get notes 5f4a3b2c1d0e --json --tagged";

pub(super) const LIST: &str = "\
Examples:
  afield list
      lists the collections
  afield list notes --limit 10
  afield list notes --json | jq -r .value.title";

pub(super) const WATCH: &str = "\
Changes are seen whoever made them: this command with --sync, or another program
that has the same store. Piped, a line is event, id and JSON between tabs; with
--json it is an object {event, collection, id, at_ms, deleted, fields, value}.
The events are present, added, changed, deleted, restored and gone. Ctrl-C ends
it with exit code 0.

Examples:
  afield watch notes
  afield watch notes 5f4a3b2c1d0e --json
  afield watch notes --sync
      also syncs, for as long as it runs";

pub(super) const DELETE: &str = "\
Examples:
  afield delete notes 5f4a3b2c1d0e
  afield trash
      lists what was deleted";

pub(super) const RESTORE: &str = "\
Examples:
  afield trash
      lists what can be restored
  afield restore notes 5f4a3b2c1d0e
  afield restore notes 5f4a3b2c1d0e --to before:3f9a0c1e
      says what it would write; with --yes it makes it what it was: see
      `afield log --help`";

pub(super) const UNDO: &str = "\
What one typed in a row is one step. An undo is an edit, which travels like any
other.

Examples:
  afield undo notes 5f4a3b2c1d0e
  afield undo notes 5f4a3b2c1d0e --json";

pub(super) const REDO: &str = "\
There is something to redo until this device edits the entity anew.

Examples:
  afield redo notes 5f4a3b2c1d0e";

pub(super) const LOG: &str = "\
A moment is `now`, the hash of a change or its first digits (right after it),
before: and a hash (right before it), or @ and milliseconds since 1970.
What an import brought or a strategy settled is the same on every device, and by
nobody: it has no author, device or time (with --json \"derived\" says which).

Examples:
  afield log notes 5f4a3b2c1d0e
  afield diff notes 5f4a3b2c1d0e
      what the last change did
  afield diff notes 5f4a3b2c1d0e 3f9a0c1e now
  afield at notes 5f4a3b2c1d0e before:3f9a0c1e
  afield restore notes 5f4a3b2c1d0e --to 3f9a0c1e
  afield undo notes 5f4a3b2c1d0e";

pub(super) const TRASH: &str = "\
Examples:
  afield trash
  afield trash notes --json
  afield restore notes 5f4a3b2c1d0e
      takes one of them back
  afield trash --empty --older-than 30d --yes
      purges for good what was deleted longer ago";

pub(super) const PURGE: &str = "\
Examples:
  afield purge notes 5f4a3b2c1d0e
      says what would go, and deletes nothing
  afield purge notes 5f4a3b2c1d0e --yes

`afield delete` can be taken back; this cannot. Backups and exports made before
are not reached.";

pub(super) const CONFLICTS: &str = "\
The first side of a conflict is what is shown. Piped, each side is a line:
collection, id, field, kind, number, who, when and value between tabs. With
--json each conflict is an object {id, collection, entity, path, kind, values}.

Examples:
  afield conflicts
  afield conflicts notes --json
  afield resolve notes 5f4a3b2c1d0e title --keep 2
  afield resolve notes 5f4a3b2c1d0e title --value '\"Milk and bread\"'";

pub(super) const STRATEGY: &str = "\
Strategies:
  merge         what is shown stands, and the conflict is listed (as at first)
  manual        the same, marked as to be decided by a person
  newest        the value with the latest time
  prefer-this   what this device wrote, where it wrote at all
  prefer-other  what others wrote, where this device wrote, too
Plain values are decided so; a value beside its deletion is listed in any case.

Examples:
  afield conflicts strategy notes newest
  afield conflicts strategy notes title manual
  afield conflicts strategy";

pub(super) const CONNECT: &str = "\
Examples:
  afield connect wss://relay.example.org --token-file token
  AFIELD_TOKEN=… afield connect wss://relay.example.org
  afield connect --off";

pub(super) const SYNC: &str = "\
With --dry-run a copy of the store beside it takes in what the relay has, and is
deleted again: nothing is sent, and nothing changes here. It tells of each entity
what would become of it, of 20 each way unless --verbose is given; with --json, a
line for each space. Bytes are those of changes as they are stored.

Examples:
  afield sync
  afield sync --dry-run
  afield watch notes --sync
  afield status --watch --sync
      stay in sync until Ctrl-C";

pub(super) const GUARD: &str = "\
Any number may be deleted unasked until something is said here. What is not named
stays as it was, and --off takes both numbers away. Deletions count that go or
come in one sync, of one collection; purges count, too. More than that waits for
`afield confirm`: what was deleted here keeps the space from being sent, and what
others deleted stays as it is here while everything else goes on.

Examples:
  afield guard --deletions 50 --share 20%
  afield guard Home --collection drafts --off
  afield guard --collection drafts --inherit";

pub(super) const CONFIRM: &str = "\
Without --yes it shows the list and asks; where nobody can be asked, it exits with
7. With --json the list comes with a token, which --token takes: nothing else is
confirmed than what was shown. With --keep the entities are restored instead.

Examples:
  afield confirm
  afield confirm --json | jq -r .token
  afield confirm --yes --token 5f4a3b2c1d0e9f8a";

pub(super) const SCHEDULE: &str = "\
A space without a schedule is in step all the time while sync is on, as under
`afield status --watch --sync`. `afield sync` syncs every space at once, whatever
its schedule.

Examples:
  afield schedule --cron '30 7 * * MON-FRI' --zone Europe/Berlin
  afield schedule Home --every 10min
  afield schedule Home --off";

pub(super) const EXPLAIN: &str = "\
With --json a line for each space: how things stand, what comes next, and the
last decisions with trigger, reason and figures.

Examples:
  afield explain
  afield explain --json | jq .runs";

pub(super) const STATUS: &str = "\
With --watch on a terminal it is drawn anew in place until q or Ctrl-C; piped, or
on a terminal that cannot, a line is printed for each change.

Examples:
  afield status
  afield status --json | jq .pending_changes
  afield status --watch --sync";

pub(super) const DOCTOR: &str = "\
Every line is ok, warn or fail, with what to do. It exits with 0 when no check
failed, and with 1 when one did. With --json each check is an object {check,
level, found, next} on a line of its own.

Examples:
  afield doctor
  afield doctor --offline --json | jq 'select(.level != \"ok\")'";

pub(super) const VERIFY: &str = "\
It reads all of the file, beside whoever writes it, and changes nothing. It exits
with 0 when all holds together, and with 6 when something does not; with --json
it prints an object {ok, violations}. `afield doctor` looks at more than the file.

Examples:
  afield verify
  afield verify --json | jq -r '.violations[]'";

pub(super) const BACKUP: &str = "\
The copy is complete when the command ends, and nothing is overwritten. To go
back to one, close what has the store open, move the store and what stands beside it
(-wal, -shm) away, and copy the backup into its place: what it lacks comes back
with the next sync. The relay and its token are not in it.

Examples:
  afield backup notes-monday.db
  afield --store notes-monday.db list";

pub(super) const HAND_OVER: &str = "\
For a device that was signed out and cannot sign in again: another device of
yours sends what waits here. The file holds what you wrote, and only you can read
it. Everything stays on this device, too, and is there once when it syncs again.

Examples:
  afield hand-over unsent
      then, on another device: afield take-over unsent";

pub(super) const TAKE_OVER: &str = "\
Each change is checked and merged as those from a relay are. Only spaces that this
device has are taken; the others are named. Taking a file over twice changes
nothing, and a damaged one is refused as a whole.

Examples:
  afield take-over unsent
  afield sync";

pub(super) const EXPORT: &str = "\
Examples:
  afield export --output home.jsonl
  afield export | gzip >home.jsonl.gz";

pub(super) const IMPORT: &str = "\
Examples:
  afield import home.jsonl
  zcat home.jsonl.gz | afield import -";

pub(super) const COMPLETIONS: &str = "\
Where shells look for it:
  bash: ~/.local/share/bash-completion/completions
      afield completions bash >~/.local/share/bash-completion/completions/afield
  zsh: any folder of fpath, here one added by fpath+=~/.zfunc before compinit
      afield completions zsh >~/.zfunc/_afield
  fish: ~/.config/fish/completions
      afield completions fish >~/.config/fish/completions/afield.fish
  PowerShell: the profile
      afield completions powershell >>$PROFILE
For all users of a machine: /usr/share/bash-completion/completions/afield,
/usr/local/share/zsh/site-functions/_afield and
/usr/share/fish/vendor_completions.d/afield.fish";

pub(super) const MAN: &str = "\
Examples:
  afield man | man -l -
  afield man --output ~/.local/share/man/man1";
