//! Running the binary: as a command that ends, or as a server that is asked.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use qd_net::{Client, ClientOptions, Policy, Request, RetryPolicy, Url};
use serde_json::Value;

/// Longer than anything here takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// One server at a time: two that compute or sync at once make each other's times meaningless on few cores.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The right to run a server, until it is dropped.
pub async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    ALONE.lock().await
}

/// A folder of its own for one test, with a data folder and a configuration file in it.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("quarterdeck.toml"), config).expect("the folder is writable");
        Self { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The binary, set up for this place and shielded from the environment of whoever runs the tests.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quarterdeck"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("QUARTERDECK_")) {
            command.env_remove(name);
        }
        command.args(arguments).current_dir(self.path()).env("QUARTERDECK_DATA", self.data()).env("HOME", self.path());
        // Threads that spin while they wait for each other starve when other programs need the cores too.
        command.env("OMP_WAIT_POLICY", "passive").stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    /// Runs a command that must succeed, and returns what it printed.
    pub fn print(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// As [`Place::print`], read as JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let text = self.print(&[arguments, &["--output", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?} printed {text:?}: {error}"))
    }

    /// Starts a server without waiting for it.
    pub fn spawn(&self) -> Spawned {
        let log = std::fs::File::options().create(true).append(true).open(self.path().join("log")).expect("writable");
        let mut child = self.command(&["serve"]).stdout(Stdio::piped()).stderr(log).spawn().expect("the binary runs");
        let stdout = child.stdout.take();
        Spawned { child: Owned(child), stdout, data: self.data() }
    }

    /// The same for a server that writes its output to this file.
    pub fn spawn_into(&self, output: &str) -> Spawned {
        let output = std::fs::File::options().write(true).open(output).expect("it is there");
        let child = self.command(&["serve"]).stdout(output).stderr(Stdio::null()).spawn().expect("the binary runs");
        Spawned { child: Owned(child), stdout: None, data: self.data() }
    }

    /// Starts a server and waits until it answers.
    pub async fn serve(&self) -> Server {
        self.spawn().ready().await.unwrap_or_else(|| panic!("the server ended:\n{}", self.log()))
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }
}

/// A process that does not outlive its test, however that ends.
pub struct Owned(Child);

impl Owned {
    /// SIGKILL: nothing is finished, nothing is written any more.
    pub fn kill(mut self) {
        self.end();
    }

    /// SIGTERM, and what it ends with.
    fn terminate(mut self) -> i32 {
        let done = Command::new("kill").arg(self.0.id().to_string()).status().expect("kill is there");
        assert!(done.success());
        self.0.wait().expect("it is our child").code().expect("it ends by itself")
    }

    fn end(&mut self) {
        // Both fail only when it has ended already, and been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.end();
    }
}

/// A server that has been started and may not answer yet.
pub struct Spawned {
    pub child: Owned,
    stdout: Option<ChildStdout>,
    data: PathBuf,
}

impl Spawned {
    /// The server once it answers; `None` when it ended instead.
    pub async fn ready(mut self) -> Option<Server> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if self.child.0.try_wait().expect("it is our child").is_some() {
                return None;
            }
            if let Some(address) = self.announced() {
                let token =
                    std::fs::read_to_string(self.data.join("local.token")).expect("it is announced with a token");
                return Some(Server {
                    child: self.child,
                    stdout: self.stdout.map(BufReader::new),
                    client: Asker::new(&address, token.trim()),
                });
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the server did not answer within {PATIENCE:?}");
    }

    /// Where this very process says that it listens.
    fn announced(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.data.join("server.json")).ok()?;
        let value: Value = serde_json::from_str(&text).ok()?;
        (value["pid"] == self.child.0.id()).then(|| value["address"].as_str().expect("an address").to_owned())
    }
}

/// A server that answers.
pub struct Server {
    child: Owned,
    stdout: Option<BufReader<ChildStdout>>,
    pub client: Asker,
}

impl Server {
    /// What it greets with, up to the line that holds `last`.
    pub fn greeting(&mut self, last: &str) -> String {
        let mut text = String::new();
        while !text.contains(last) {
            let stdout = self.stdout.as_mut().expect("its output comes here");
            let read = stdout.read_line(&mut text).expect("it is piped");
            assert!(read > 0, "it ended after {text:?}");
        }
        text
    }

    /// SIGKILL.
    pub fn kill(self) {
        self.child.kill();
    }

    /// SIGTERM, and what it ends with.
    pub fn terminate(self) -> i32 {
        self.child.terminate()
    }
}

/// Asks a server over HTTP, with one key.
#[derive(Clone)]
pub struct Asker {
    client: Client,
    pub base: Url,
    pub key: String,
}

impl Asker {
    pub fn new(address: &str, key: &str) -> Self {
        let policy = Policy::public().allow("127.0.0.1").expect("an address");
        let client = Client::new(policy, ClientOptions::default()).expect("a client");
        Self { client, base: Url::parse(&format!("http://{address}")).expect("an address"), key: key.to_owned() }
    }

    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    /// The status and the JSON of an answer that came to its end; an error when the connection broke.
    pub async fn send(&self, mut request: Request) -> Result<(u16, Value), qd_net::Error> {
        request.retry = RetryPolicy::none();
        let response = self.client.request(request.bearer(&self.key)).await?;
        let status = response.status.as_u16();
        let bytes = response.bytes(64 << 20).await?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }

    pub fn post(&self, path: &str, body: &Value) -> Request {
        Request::post(self.base.join(path).expect("a path"), body.to_string())
    }

    pub fn get(&self, path: &str) -> Request {
        Request::get(self.base.join(path).expect("a path"))
    }
}
