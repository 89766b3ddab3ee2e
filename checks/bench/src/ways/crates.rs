//! Crates that others have made, used as their documentation says.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use bytemuck::{cast_slice, cast_slice_mut};
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use ipc_channel::ipc::{
    IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender, bytes_channel,
};
use mmap_sync::synchronizer::Synchronizer;
use tempfile::TempDir;

use crate::way::{Result, Way, check, word};

/// iceoryx2, publish and subscribe: the sender writes into memory that it borrows (*loan*), the receiver
/// reads there.
pub struct Iceoryx2 {
    words: usize,
    /// What names the two services.
    run: String,
    ends: Option<Ends>,
}

struct Ends {
    publisher: Publisher<ipc::Service, [u32], ()>,
    subscriber: Subscriber<ipc::Service, [u32], ()>,
    _node: Node<ipc::Service>,
}

impl Iceoryx2 {
    fn ends(&self) -> Result<&Ends> {
        Ok(self.ends.as_ref().ok_or("not open")?)
    }
}

impl Way for Iceoryx2 {
    fn new(words: usize) -> Result<Self> {
        let run = format!("{}-{:x}", std::process::id(), fastrand::u64(..));
        Ok(Self { words, run, ends: None })
    }

    fn open(&mut self, out: usize) -> Result<()> {
        set_log_level(LogLevel::Error);
        let node = NodeBuilder::new()
            .signal_handling_mode(SignalHandlingMode::Disabled)
            .create::<ipc::Service>()?;
        let service = |direction: usize| -> Result<_> {
            let name = format!("shared memory by example/{}/{direction}", self.run);
            Ok(node
                .service_builder(&name.as_str().try_into()?)
                .publish_subscribe::<[u32]>()
                .max_publishers(1)
                .max_subscribers(1)
                .history_size(0)
                .subscriber_max_buffer_size(16)
                // No message is lost: a full buffer makes the sender wait.
                .enable_safe_overflow(false)
                .open_or_create()?)
        };
        let publisher = service(out)?
            .publisher_builder()
            .initial_max_slice_len(self.words)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()?;
        let subscriber = service(1 - out)?.subscriber_builder().create()?;
        self.ends = Some(Ends { publisher, subscriber, _node: node });
        Ok(())
    }

    fn send(&mut self, _: usize, message: &[u32]) -> Result<()> {
        let loan = self.ends()?.publisher.loan_slice_uninit(message.len())?;
        loan.write_from_slice(message).send()?;
        Ok(())
    }

    fn receive(&mut self, _: usize, _: u32, message: &mut [u32]) -> Result<()> {
        let subscriber = &self.ends()?.subscriber;
        loop {
            if let Some(sample) = subscriber.receive()? {
                message.copy_from_slice(&sample);
                return Ok(());
            }
        }
    }

    fn produce(&mut self, _: usize, number: u32, _: &mut [u32]) -> Result<()> {
        let loan = self.ends()?.publisher.loan_slice_uninit(self.words)?;
        #[allow(clippy::cast_possible_truncation, reason = "an index below 2^18")]
        loan.write_from_fn(|index| word(number, index as u32)).send()?;
        Ok(())
    }

    fn consume(&mut self, _: usize, number: u32, _: &mut [u32]) -> Result<()> {
        let subscriber = &self.ends()?.subscriber;
        loop {
            if let Some(sample) = subscriber.receive()? {
                return check(&sample, number);
            }
        }
    }

    fn close(&mut self) {
        self.ends = None;
    }
}

/// mmap-sync: two files that take turns, made for one writer that writes seldom. The version says that there
/// is something new; the archive is read where it lies, without `check_bytes`.
pub struct MmapSync {
    ends: [Synchronizer; 2],
    /// What was sent, as the type that is archived.
    buffer: Vec<u32>,
    seen: Option<mmap_sync::instance::InstanceVersion>,
    _directory: TempDir,
}

/// Nobody reads a record for longer.
const GRACE: Duration = Duration::from_secs(1);

impl Way for MmapSync {
    fn new(words: usize) -> Result<Self> {
        // A file system in memory, if there is one in the usual place.
        let memory = Path::new("/dev/shm");
        let directory =
            if memory.is_dir() { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? };
        let end = |name| Synchronizer::new(directory.path().join(name).as_os_str());
        let ends = [end("there"), end("back")];
        Ok(Self { ends, buffer: vec![0; words], seen: None, _directory: directory })
    }

    fn open(&mut self, out: usize) -> Result<()> {
        // Message 0: before it there are no files to be mapped.
        self.ends[out].write(&self.buffer, GRACE)?;
        Ok(())
    }

    fn send(&mut self, out: usize, message: &[u32]) -> Result<()> {
        self.buffer.copy_from_slice(message);
        self.ends[out].write(&self.buffer, GRACE)?;
        Ok(())
    }

    fn receive(&mut self, from: usize, number: u32, message: &mut [u32]) -> Result<()> {
        self.read(from, number, |words| {
            message.copy_from_slice(words);
            Ok(())
        })
    }

    fn produce(&mut self, out: usize, number: u32, _: &mut [u32]) -> Result<()> {
        crate::way::fill(&mut self.buffer, number);
        self.ends[out].write(&self.buffer, GRACE)?;
        Ok(())
    }

    fn consume(&mut self, from: usize, number: u32, _: &mut [u32]) -> Result<()> {
        self.read(from, number, |words| check(words, number))
    }
}

impl MmapSync {
    fn read(
        &mut self,
        from: usize,
        number: u32,
        take: impl FnOnce(&[u32]) -> Result<()>,
    ) -> Result<()> {
        let end = &mut self.ends[from];
        loop {
            let version = end.version()?;
            if self.seen.as_ref() != Some(&version) {
                self.seen = Some(version);
                // SAFETY: the other process writes `Vec<u32>` and nothing else, and does not write again
                // before it has the answer, so the result is dropped long before GRACE is over.
                let found = unsafe { end.read::<Vec<u32>>(false) }?;
                if found.first() == Some(&number) {
                    return take(&found);
                }
            }
        }
    }
}

/// ipc-channel: a channel of bytes for each direction. The processes find each other by a one-shot server.
pub struct IpcChannel {
    server: RefCell<Option<IpcOneShotServer<Channel>>>,
    name: String,
    ends: Option<Channel>,
}

type Channel = (IpcBytesSender, IpcBytesReceiver);

impl Way for IpcChannel {
    fn new(_: usize) -> Result<Self> {
        let (server, name) = IpcOneShotServer::new()?;
        Ok(Self { server: RefCell::new(Some(server)), name, ends: None })
    }

    fn open(&mut self, out: usize) -> Result<()> {
        let server = self.server.take().ok_or("no server")?;
        if out == 0 {
            let (_, ends) = server.accept()?;
            self.ends = Some(ends);
        } else {
            // The copy that the fork has made: the other process accepts, and takes the name away.
            std::mem::forget(server);
            let to_server = IpcSender::<Channel>::connect(self.name.clone())?;
            let ((there, receiver), (sender, back)) = (bytes_channel()?, bytes_channel()?);
            to_server.send((there, back))?;
            self.ends = Some((sender, receiver));
        }
        Ok(())
    }

    fn send(&mut self, _: usize, message: &[u32]) -> Result<()> {
        Ok(self.ends.as_ref().ok_or("not open")?.0.send(cast_slice(message))?)
    }

    fn receive(&mut self, _: usize, _: u32, message: &mut [u32]) -> Result<()> {
        let bytes = self.ends.as_ref().ok_or("not open")?.1.recv()?;
        if bytes.len() != size_of_val(message) {
            return Err(format!("{} of {} bytes", bytes.len(), size_of_val(message)).into());
        }
        cast_slice_mut(message).copy_from_slice(&bytes);
        Ok(())
    }
}
