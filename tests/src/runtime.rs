//! A function's program as the Lambda service runs it: it polls a runtime API for events, and its log is what it writes
//! to standard output.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// The runtime API's one client: a process of the function.
pub struct Runtime {
    listener: TcpListener,
    process: Child,
}

/// A request of the runtime API's client.
struct Polled {
    line: String,
    body: Vec<u8>,
    stream: TcpStream,
}

impl Runtime {
    /// Starts a function's program with these variables and no others.
    pub fn start(program: &str, variables: &[(String, String)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let process = Command::new(program)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr().unwrap().to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "function")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .envs(variables.iter().cloned())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self { listener, process }
    }

    fn polled(&self) -> Polled {
        let stream = self.listener.accept().unwrap().0;
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut head, mut length) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':') {
                assert!(!name.eq_ignore_ascii_case("transfer-encoding"), "the answer is sent whole");
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().unwrap();
                }
            }
            head.push(line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        Polled { line: head[0].trim().to_owned(), body, stream }
    }

    /// Hands one event to the function, and returns what it answers to the gateway.
    pub fn invoke(&self, event: &Value) -> Value {
        let polled = self.polled();
        assert!(polled.line.starts_with("GET /2018-06-01/runtime/invocation/next"), "{}", polled.line);
        polled.answer("200 OK", &event.to_string());
        let answered = self.polled();
        assert!(answered.line.starts_with("POST /2018-06-01/runtime/invocation/r1/response"), "{}", answered.line);
        let answer = serde_json::from_slice(&answered.body).unwrap();
        answered.answer("202 Accepted", "{}");
        answer
    }

    /// Ends the process, and returns what it wrote.
    pub fn log(mut self) -> String {
        self.process.kill().unwrap();
        let mut log = String::new();
        self.process.stdout.take().unwrap().read_to_string(&mut log).unwrap();
        log
    }
}

/// A test that fails leaves no process behind either.
impl Drop for Runtime {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Polled {
    fn answer(mut self, status: &str, body: &str) {
        let head = format!(
            "HTTP/1.1 {status}\r\nLambda-Runtime-Aws-Request-Id: r1\r\nLambda-Runtime-Deadline-Ms: 9999999999999\r\n\
             Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:function\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(head.as_bytes()).unwrap();
    }
}
