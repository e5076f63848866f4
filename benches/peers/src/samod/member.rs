//! samod's clients: a repo each.

use afield_benches::agent::{Failure, Growth, Member};
use afield_benches::clock::wall_us;
use afield_tests::processes::agent::Task;
use automerge::transaction::Transactable;
use automerge::{Automerge, AutomergeError, ObjId, ObjType, ROOT, ReadDoc};
use futures_util::future::try_join_all;
use futures_util::stream::{BoxStream, SelectAll, StreamExt, select_all};
use samod::storage::TokioFilesystemStorage;
use samod::{BackoffConfig, DialerHandle, DocHandle, Repo, Url};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long something may take that a client waits for.
const TIMEOUT: Duration = Duration::from_secs(110);
const BODY: &str = "body";
const PRIORITY: &str = "priority";
const STOPPED: &str = "the repo has stopped";

/// A repo with files of its own.
pub(crate) struct RepoMember {
    repo: Repo,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    dialer: Option<DialerHandle>,
    texts: Vec<DocHandle>,
    small: Vec<DocHandle>,
}

impl RepoMember {
    /// Opens repos with their files in a folder.
    pub(crate) async fn open_all(folder: &Path, count: usize) -> Vec<Self> {
        let mut members = Vec::new();
        for number in 0..count {
            let storage = TokioFilesystemStorage::new(folder.join(number.to_string()));
            let repo = Repo::build_tokio().with_storage(storage).load().await;
            members.push(Self { repo, held: Mutex::default() });
        }
        members
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks only once the server is there: before that a document may count as not available.
    async fn find(&self, ids: &[String]) -> Result<Vec<DocHandle>, Failure> {
        let dialer = self.held().dialer.clone().ok_or("the client was not told to connect")?;
        within(async { dialer.established().await.map_err(|error| error.to_string()) }).await??;
        let found = ids.iter().map(|id| async {
            let handle = self.repo.find(id.parse()?).await.map_err(|_| STOPPED)?;
            Ok::<_, Failure>(handle.ok_or("the server does not know a document")?)
        });
        within(try_join_all(found)).await?
    }
}

async fn within<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    Ok(tokio::time::timeout(TIMEOUT, future).await?)
}

/// The text of a document, where there is one.
fn body(document: &Automerge) -> Result<ObjId, AutomergeError> {
    match document.get(ROOT, BODY)? {
        Some((_, text)) => Ok(text),
        None => Err(AutomergeError::InvalidObjId(BODY.to_owned())),
    }
}

fn priority(handle: &DocHandle) -> Option<i64> {
    let value =
        handle.with_document(|document| document.get(ROOT, PRIORITY).ok().flatten().map(|(value, _)| value.as_i64()));
    value.flatten()
}

impl Member for RepoMember {
    type Growth = ChangedTexts;

    async fn connect(&self, url: &str) -> Result<(), Failure> {
        let dialer = self.repo.dial_websocket(Url::parse(url)?, BackoffConfig::default()).map_err(|_| STOPPED)?;
        self.held().dialer = Some(dialer);
        Ok(())
    }

    async fn disconnect(&self) -> Result<(), Failure> {
        if let Some(dialer) = self.held().dialer.take() {
            dialer.close();
        }
        Ok(())
    }

    async fn create_texts(&self, count: usize) -> Result<Vec<String>, Failure> {
        let mut made = Vec::new();
        for _ in 0..count {
            let mut document = Automerge::new();
            document
                .transact(|transaction| transaction.put_object(ROOT, BODY, ObjType::Text))
                .map_err(|failure| failure.error)?;
            made.push(self.repo.create(document).await.map_err(|_| STOPPED)?);
        }
        let ids = made.iter().map(|handle| handle.document_id().to_string()).collect();
        self.held().texts.extend(made);
        Ok(ids)
    }

    async fn open_texts(&self, ids: &[String]) -> Result<(), Failure> {
        let found = self.find(ids).await?;
        self.held().texts.extend(found);
        Ok(())
    }

    async fn create_small(&self, count: usize, changes: usize) -> Result<Vec<String>, Failure> {
        let mut made = Vec::new();
        for number in 0..count {
            let task = Task::number(number);
            let mut document = Automerge::new();
            let fields = document.transact::<_, _, AutomergeError>(|transaction| {
                transaction.put(ROOT, "title", task.title.as_str())?;
                transaction.put(ROOT, "project", task.project.as_str())?;
                transaction.put(ROOT, "done", task.done)?;
                transaction.put(ROOT, PRIORITY, task.priority)?;
                transaction.put(ROOT, "due", task.due)
            });
            fields.map_err(|failure| failure.error)?;
            let handle = self.repo.create(document).await.map_err(|_| STOPPED)?;
            for round in 1..i64::try_from(changes)? {
                let edited = handle.with_document(|document| {
                    document
                        .transact(|transaction| transaction.put(ROOT, PRIORITY, round))
                        .map_err(|failure| failure.error)
                });
                edited?;
            }
            made.push(handle);
        }
        let ids = made.iter().map(|handle| handle.document_id().to_string()).collect();
        self.held().small.extend(made);
        Ok(ids)
    }

    async fn open_small(&self, ids: &[String], changes: usize) -> Result<(), Failure> {
        let found = self.find(ids).await?;
        self.held().small.extend(found.iter().cloned());
        let last = Some(i64::try_from(changes)? - 1);
        let here = found.iter().map(|handle| async move {
            let mut changes = handle.changes();
            while priority(handle) != last {
                changes.next().await.ok_or(STOPPED)?;
            }
            Ok::<_, Failure>(())
        });
        within(try_join_all(here)).await??;
        Ok(())
    }

    async fn settle(&self) -> Result<(), Failure> {
        let (dialer, handles) = {
            let held = self.held();
            (held.dialer.clone(), held.texts.iter().chain(&held.small).cloned().collect::<Vec<_>>())
        };
        let dialer = dialer.ok_or("the client was not told to connect")?;
        within(async { dialer.established().await.map_err(|error| error.to_string()) }).await??;
        let connection = dialer.connection_id().ok_or("the connection has ended")?;
        within(async {
            for handle in &handles {
                handle.they_have_our_changes(connection).await;
            }
        })
        .await
    }

    fn append(&self, text: usize, length: usize, letter: char) -> Result<(), Failure> {
        let handle = self.held().texts.get(text).cloned().ok_or("there is no such text")?;
        let edited = handle.with_document(|document| {
            let text = body(document)?;
            document
                .transact(|transaction| transaction.splice_text(&text, length, 0, letter.encode_utf8(&mut [0; 4])))
                .map(drop)
                .map_err(|failure| failure.error)
        });
        Ok(edited?)
    }

    fn read_texts(&self) -> Result<Vec<String>, Failure> {
        let texts = self.held().texts.clone();
        let read = |handle: &DocHandle| handle.with_document(|document| document.text(body(document)?));
        Ok(texts.iter().map(read).collect::<Result<Vec<_>, _>>()?)
    }

    fn follow(&self) -> Result<ChangedTexts, Failure> {
        let texts = self.held().texts.clone();
        let changes = texts.iter().enumerate().map(|(place, handle)| handle.changes().map(move |_| place).boxed());
        let changes = select_all(changes.collect::<Vec<_>>());
        let lengths = texts.iter().map(length).collect::<Result<Vec<_>, _>>()?;
        Ok(ChangedTexts { changes, texts, lengths })
    }
}

fn length(handle: &DocHandle) -> Result<usize, AutomergeError> {
    handle.with_document(|document| Ok(document.length(body(document)?)))
}

/// Texts of a repo that are watched.
pub(crate) struct ChangedTexts {
    changes: SelectAll<BoxStream<'static, usize>>,
    texts: Vec<DocHandle>,
    lengths: Vec<usize>,
}

impl Growth for ChangedTexts {
    fn total(&self) -> u64 {
        self.lengths.iter().map(|length| *length as u64).sum()
    }

    async fn next(&mut self) -> Result<u64, Failure> {
        let place = self.changes.next().await.ok_or(STOPPED)?;
        let moment = wall_us();
        if let (Some(handle), Some(known)) = (self.texts.get(place), self.lengths.get_mut(place)) {
            *known = length(handle)?;
        }
        Ok(moment)
    }
}
