//! Recorded editing histories, keystroke by keystroke.
//!
//! From the public collection `josephg/editing-traces`, recorded by Seph Gentle and Martin Kleppmann and licensed
//! CC BY 4.0.

use flate2::read::GzDecoder;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// A recorded history of one text.
#[derive(Debug, Clone, Deserialize)]
pub struct History {
    /// The text at the end.
    #[serde(rename = "endContent")]
    pub end: String,
    /// What the authors did, each after whatever it depends on.
    #[serde(rename = "txns")]
    pub transactions: Vec<Transaction>,
}

/// What an author did at one moment.
#[derive(Debug, Clone, Deserialize)]
pub struct Transaction {
    /// The transactions that this one came after, by their place in the history.
    #[serde(default)]
    pub parents: Vec<usize>,
    /// Who did it.
    #[serde(default, rename = "agent")]
    pub author: usize,
    /// What was done, in order.
    pub patches: Vec<Patch>,
}

/// Characters deleted and inserted at a position, which counts Unicode code points.
#[derive(Debug, Clone, Deserialize)]
pub struct Patch(pub usize, pub usize, pub String);

/// A history cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file cannot be read.
    #[error("the history cannot be read")]
    File(#[from] std::io::Error),
    /// The file is no history.
    #[error("the file is not a recorded history in JSON")]
    Json(#[from] serde_json::Error),
    /// A transaction comes before one that it depends on.
    #[error("transaction {0} of the history names a parent that comes after it")]
    Order(usize),
}

/// How many transactions of each author something rests on.
pub type Reach = Vec<usize>;

impl History {
    /// Reads a history from a file that gzip has compressed.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is no history.
    pub fn read(path: &Path) -> Result<Self, HistoryError> {
        let mut history: Self = serde_json::from_reader(BufReader::new(GzDecoder::new(File::open(path)?)))?;
        let is_linear = history.transactions.iter().all(|transaction| transaction.parents.is_empty());
        for (place, transaction) in history.transactions.iter_mut().enumerate() {
            if is_linear {
                transaction.parents = place.checked_sub(1).into_iter().collect();
            }
            if transaction.parents.iter().any(|parent| *parent >= place) {
                return Err(HistoryError::Order(place));
            }
        }
        Ok(history)
    }

    /// How many authors there are.
    pub fn authors(&self) -> usize {
        self.transactions.iter().map(|transaction| transaction.author + 1).max().unwrap_or(0)
    }

    /// For every transaction, how much of each author's work its parents rest on: what its author had seen.
    pub fn reaches(&self) -> Vec<Reach> {
        let authors = self.authors();
        let mut made = vec![0; authors];
        let mut after: Vec<Reach> = Vec::with_capacity(self.transactions.len());
        let mut before = Vec::with_capacity(self.transactions.len());
        for transaction in &self.transactions {
            let mut reach = vec![0; authors];
            for parent in transaction.parents.iter().filter_map(|parent| after.get(*parent)) {
                reach.iter_mut().zip(parent).for_each(|(mine, theirs)| *mine = (*mine).max(*theirs));
            }
            before.push(reach.clone());
            for (author, (made, reach)) in made.iter_mut().zip(&mut reach).enumerate() {
                if author == transaction.author {
                    *made += 1;
                    *reach = *made;
                }
            }
            after.push(reach);
        }
        before
    }

    /// The points at which somebody else edits: (author, how many of its transactions that one has seen by then).
    pub fn borders(&self, reaches: &[Reach]) -> BTreeSet<(usize, usize)> {
        let mut borders = BTreeSet::new();
        for (transaction, reach) in self.transactions.iter().zip(reaches) {
            let others = reach.iter().copied().enumerate().filter(|(author, _)| *author != transaction.author);
            borders.extend(others);
        }
        borders
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn history(json: &str) -> Result<History, HistoryError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut gzip = flate2::write::GzEncoder::new(&file, flate2::Compression::fast());
        gzip.write_all(json.as_bytes()).unwrap();
        gzip.finish().unwrap();
        History::read(file.path())
    }

    #[test]
    fn what_an_author_had_seen_is_told_by_the_parents() {
        let json = r#"{"kind":"concurrent","endContent":"ab","txns":[
            {"parents":[],"agent":0,"patches":[[0,0,"a"]]},
            {"parents":[0],"agent":0,"patches":[[1,0,"x"]]},
            {"parents":[0],"agent":1,"patches":[[1,0,"b"]]},
            {"parents":[1,2],"agent":0,"patches":[[1,1,""]]}]}"#;
        let history = history(json).unwrap();
        assert_eq!(history.authors(), 2);
        let reaches = history.reaches();
        assert_eq!(reaches, [[0, 0], [1, 0], [1, 0], [2, 1]]);
        assert_eq!(history.borders(&reaches), BTreeSet::from([(1, 0), (0, 1), (1, 1)]));
    }

    #[test]
    fn a_history_without_parents_is_one_keystroke_after_the_other() {
        let json = r#"{"endContent":"ab","txns":[{"patches":[[0,0,"a"]]},{"patches":[[1,0,"b"]]}]}"#;
        let history = history(json).unwrap();
        let parents: Vec<_> = history.transactions.iter().map(|transaction| transaction.parents.clone()).collect();
        assert_eq!((history.authors(), parents), (1, vec![vec![], vec![0]]));
    }

    #[test]
    fn what_is_no_history_is_refused() {
        let backwards = r#"{"endContent":"","txns":[{"parents":[],"patches":[]},{"parents":[1],"patches":[]}]}"#;
        assert!(matches!(history(backwards), Err(HistoryError::Order(1))));
        assert!(matches!(history("{}"), Err(HistoryError::Json(_))));
        assert!(matches!(History::read(Path::new("/no/such/file")), Err(HistoryError::File(_))));
    }
}
