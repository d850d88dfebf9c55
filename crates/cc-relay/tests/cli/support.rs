//! A home folder of its own for each test, the binary run in it, and a made-up relay.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

/// A home folder with a project folder in it.
pub(crate) struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("project")).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, rest: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(rest)
    }

    pub(crate) fn write(&self, rest: &str, text: &str) -> PathBuf {
        let path = self.path(rest);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn read(&self, rest: &str) -> String {
        std::fs::read_to_string(self.path(rest)).unwrap()
    }

    /// The binary with this home, in the project folder, with nothing else in its environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cc-relay"));
        command
            .env_clear()
            .env("HOME", self.path(""))
            .current_dir(self.path("project"));
        // Coverage data is written where the runner says.
        if let Some(profile) = std::env::var_os("LLVM_PROFILE_FILE") {
            command.env("LLVM_PROFILE_FILE", profile);
        }
        command.args(arguments).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[])
    }

    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
        let mut command = self.command(arguments);
        Ran::of(
            &command.envs(variables.iter().copied()).output().unwrap(),
            self,
        )
    }
}

/// What a run gave, with the home folder's name taken out.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    fn of(output: &Output, home: &Home) -> Self {
        let folder = home.path("").display().to_string();
        let text = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            text.replace(folder.trim_end_matches('/'), "[HOME]")
        };
        Self {
            code: output.status.code().unwrap(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        let lines: Vec<&str> = self.stdout.lines().collect();
        assert_eq!(lines.len(), 1, "one JSON line: {self:?}");
        serde_json::from_str(lines[0]).unwrap()
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

/// A server that answers every request with one fixed answer; it ends with the test's process.
pub(crate) fn answer(status: &'static str, body: impl Into<String>) -> SocketAddr {
    let body = body.into();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = Vec::new();
            let mut byte = [0_u8; 1];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                head.push(byte[0]);
            }
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            // The client may have gone away.
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    address
}

/// Returns the body of an HTTP/1.1 answer, out of its chunks if it came in chunks.
pub(crate) fn body_of(answer: &str) -> String {
    let (head, mut rest) = answer.split_once("\r\n\r\n").expect("a head");
    if !head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        return rest.to_owned();
    }
    let mut body = String::new();
    loop {
        let (length, after) = rest.split_once("\r\n").expect("a chunk");
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            assert_eq!(after, "\r\n", "the end");
            return body;
        }
        let (chunk, after) = after.split_at(length);
        body.push_str(chunk);
        rest = after.strip_prefix("\r\n").expect("a chunk's end");
    }
}

/// An address where nothing listens.
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A TLS server that answers 200 with one body; it ends with the test's process.
pub(crate) fn tls_answer(
    made: &rcgen::CertifiedKey<rcgen::KeyPair>,
    body: &'static str,
) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = rustls::Stream::new(&mut connection, &mut stream);
            let mut head = [0_u8; 4096];
            // A client that does not trust the certificate ends here.
            if tls.read(&mut head).is_ok_and(|count| count > 0) {
                let length = body.len();
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
                drop(tls.write_all(answer.as_bytes()));
            }
        }
    });
    address
}
