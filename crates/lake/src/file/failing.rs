//! A disk that fails when it is told to.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Disk, DiskFile, LocalDisk};

/// What a disk is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Create,
    Write,
    Sync,
    Rename,
    SyncFolder,
    Remove,
}

/// How it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `ENOSPC`.
    NoSpace,
    /// `EIO`.
    Device,
    /// Only the first half of a write is taken, without an error.
    Short,
}

impl Fault {
    fn error(self) -> io::Error {
        const ENOSPC: i32 = 28;
        const EIO: i32 = 5;
        io::Error::from_raw_os_error(if self == Self::NoSpace { ENOSPC } else { EIO })
    }
}

/// How many more calls of each operation succeed, then how often it fails and how.
#[derive(Debug, Default)]
struct Plan(HashMap<Operation, (usize, usize, Fault)>);

/// The local disk, except for the faults that were planned.
#[derive(Debug, Clone, Default)]
pub(crate) struct FailingDisk {
    plan: Arc<Mutex<Plan>>,
}

impl FailingDisk {
    pub fn new() -> Self {
        Self::default()
    }

    /// The `nth` call from now on, counted from 1, fails once.
    pub fn fail(&self, operation: Operation, nth: usize, fault: Fault) {
        self.plan.lock().0.insert(operation, (nth - 1, 1, fault));
    }

    /// Every call fails until [`FailingDisk::heal`].
    pub fn break_down(&self, operation: Operation, fault: Fault) {
        self.plan.lock().0.insert(operation, (0, usize::MAX, fault));
    }

    /// Everything works again.
    pub fn heal(&self) {
        self.plan.lock().0.clear();
    }

    fn fault(&self, operation: Operation) -> Option<Fault> {
        let mut plan = self.plan.lock();
        let (succeed, fail, fault) = plan.0.get_mut(&operation)?;
        if *succeed > 0 {
            *succeed -= 1;
            return None;
        }
        *fail = fail.checked_sub(1)?;
        Some(*fault)
    }

    fn pass(&self, operation: Operation) -> io::Result<()> {
        self.fault(operation).map_or(Ok(()), |fault| Err(fault.error()))
    }
}

impl Disk for FailingDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.pass(Operation::Create)?;
        Ok(Box::new(FailingFile { file: LocalDisk.create(path)?, disk: self.clone() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.pass(Operation::Rename)?;
        LocalDisk.rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.pass(Operation::SyncFolder)?;
        LocalDisk.sync_folder(folder)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.pass(Operation::Remove)?;
        LocalDisk.remove(path)
    }
}

struct FailingFile {
    file: Box<dyn DiskFile>,
    disk: FailingDisk,
}

impl Write for FailingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.disk.fault(Operation::Write) {
            Some(Fault::Short) => self.file.write(&bytes[..bytes.len().div_ceil(2)]),
            Some(fault) => Err(fault.error()),
            None => self.file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl DiskFile for FailingFile {
    fn sync(&mut self) -> io::Result<()> {
        self.disk.pass(Operation::Sync)?;
        self.file.sync()
    }
}
