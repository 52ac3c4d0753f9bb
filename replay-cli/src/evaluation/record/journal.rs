//! The file of an evaluation's records, which a crash cannot damage.
use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::JournalError;
use super::entry::Record;
use super::header::Header;
use crate::evaluation::Item;

/// The identity of a record: arm, line, fingerprint, sample.
type Key = (String, usize, String, Option<u32>);

/// An open file of records. Where the file system supports locks, no other process can open it as a journal until this is dropped.
///
/// The first line is a header with the run's settings; each further one is a record.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes up to the end of the last complete record.
    length: u64,
    fingerprint: String,
    records: Vec<Record>,
    indices: HashMap<Key, usize>,
    dropped: usize,
}

impl Journal {
    /// Opens the journal of a run with these settings, or creates it.
    ///
    /// An unfinished last line, which a crash can leave, is cut off.
    ///
    /// # Errors
    /// If the file is not a journal, has a run with other settings, is damaged, or is in use. Nothing but an unfinished last line is ever
    /// removed.
    pub fn open(path: &Path, settings: &Value) -> Result<Self, JournalError> {
        let failed = |action| move |source| JournalError::Io { path: path.to_owned(), action, source };
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed("open or create it"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Busy { path: path.to_owned() }),
            // Some network file systems have no locks; there the user has to avoid two runs on one file.
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(source)) => return Err(failed("lock it")(source)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed("read it"))?;
        let current = Header::of(settings);
        let mut journal = Self {
            path: path.to_owned(),
            file,
            length: 0,
            fingerprint: current.fingerprint.clone(),
            records: Vec::new(),
            indices: HashMap::new(),
            dropped: 0,
        };
        let header = journal.line(&current)?;
        let complete = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        if complete == 0 {
            // A crash may have left the beginning of the header. A file with any other content is not changed.
            if !header.starts_with(&bytes) {
                return Err(journal.not_a_journal("another first line".to_owned()));
            }
            journal.dropped = bytes.len();
            journal.write(&header)?;
            return Ok(journal);
        }
        journal.load(&current, &bytes[..complete])?;
        journal.dropped = bytes.len() - complete;
        journal.length = complete as u64;
        if journal.dropped > 0 {
            journal.file.set_len(journal.length).map_err(failed("cut off its unfinished last line"))?;
        }
        Ok(journal)
    }

    /// Appends a record as one line and flushes it to the operating system.
    ///
    /// # Errors
    /// [`JournalError::Duplicate`] if the sample is recorded already; [`JournalError::Io`] if the file cannot be written, which is then
    /// unchanged.
    pub fn append(&mut self, record: Record) -> Result<(), JournalError> {
        if self.indices.contains_key(&key(&record)) {
            let Record { arm, item, sample, .. } = record;
            return Err(JournalError::Duplicate { path: self.path.clone(), arm, item, sample });
        }
        let line = self.line(&record)?;
        self.write(&line)?;
        self.indices.insert(key(&record), self.records.len());
        self.records.push(record);
        Ok(())
    }

    /// The record of a sample (`None`: the greedy answer) of a prompt in an arm. A prompt that was changed since has no record.
    #[must_use]
    pub fn find(&self, arm: &str, item: &Item, sample: Option<u32>) -> Option<&Record> {
        let key = (arm.to_owned(), item.line, item.fingerprint.clone(), sample);
        self.indices.get(&key).map(|&index| &self.records[index])
    }

    /// All records, in the order of the file.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The records of these prompts. Records of prompts that were changed since are left out.
    #[must_use]
    pub fn records_of(&self, items: &[Item]) -> Vec<&Record> {
        let current: HashMap<usize, &str> = items.iter().map(|item| (item.line, &*item.fingerprint)).collect();
        self.records.iter().filter(|record| current.get(&record.item) == Some(&&*record.fingerprint)).collect()
    }

    /// Bytes of an unfinished last line that were cut off when the file was opened.
    #[must_use]
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// The blake3 hash, in hexadecimal, of the run's settings.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Reads complete lines.
    fn load(&mut self, current: &Header, bytes: &[u8]) -> Result<(), JournalError> {
        let mut lines = bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|&byte| byte == b'\n');
        let header = Header::read(lines.next().unwrap_or_default()).map_err(|found| self.not_a_journal(found))?;
        if header.fingerprint != current.fingerprint {
            let differences = header.differences(current);
            if differences.is_empty() {
                return Err(self.damaged(1, "a header whose fingerprint is not that of its settings".to_owned()));
            }
            return Err(JournalError::OtherRun { path: self.path.clone(), differences });
        }
        for (index, line) in lines.enumerate() {
            let record: Record =
                serde_json::from_slice(line).map_err(|error| self.damaged(index + 2, error.to_string()))?;
            if let Some(earlier) = self.indices.insert(key(&record), index) {
                return Err(self.damaged(index + 2, format!("that of line {} again", earlier + 2)));
            }
            self.records.push(record);
        }
        Ok(())
    }

    /// Appends a line, or restores the file's length: after an incomplete line the next one would be unreadable.
    fn write(&mut self, line: &[u8]) -> Result<(), JournalError> {
        let mut write = || {
            self.file.seek(SeekFrom::Start(self.length))?;
            self.file.write_all(line)?;
            self.file.flush()
        };
        match write() {
            Ok(()) => {
                self.length += line.len() as u64;
                Ok(())
            }
            Err(source) => {
                // If this fails too, the next `open` cuts the line off.
                let _ = self.file.set_len(self.length);
                Err(self.io("write a record", source))
            }
        }
    }

    fn line(&self, value: &impl serde::Serialize) -> Result<Vec<u8>, JournalError> {
        let mut line = serde_json::to_vec(value).map_err(|error| self.io("write a record", error.into()))?;
        line.push(b'\n');
        Ok(line)
    }

    fn io(&self, action: &'static str, source: std::io::Error) -> JournalError {
        JournalError::Io { path: self.path.clone(), action, source }
    }

    fn not_a_journal(&self, found: String) -> JournalError {
        JournalError::NotAJournal { path: self.path.clone(), found }
    }

    fn damaged(&self, line: usize, found: String) -> JournalError {
        JournalError::Damaged { path: self.path.clone(), line, found }
    }
}

fn key(record: &Record) -> Key {
    (record.arm.clone(), record.item, record.fingerprint.clone(), record.sample)
}
