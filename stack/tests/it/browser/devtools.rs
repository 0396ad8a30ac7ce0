//! A connection to a browser by the DevTools protocol: calls with their answers, and the events that came meanwhile.
//! Blocking, and every wait has a limit. It knows messages, not pages: that is [`super::page`].

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

/// For any one answer or event. Generous: the machine may be busy with other tests.
const LIMIT: Duration = Duration::from_secs(20);

/// One connection, and on it one session: a page's.
pub(crate) struct DevTools {
    socket: WebSocket<TcpStream>,
    session: Option<String>,
    last_id: u64,
    events: Vec<Value>,
}

impl DevTools {
    pub(crate) fn connect(port: u16, path: &str) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("DevTools listens");
        stream.set_nodelay(true).expect("a socket of ours");
        stream
            .set_read_timeout(Some(LIMIT))
            .expect("a socket of ours");
        let url = format!("ws://127.0.0.1:{port}{path}");
        let (socket, _) = tungstenite::client(url, stream).expect("a WebSocket to DevTools");
        Self {
            socket,
            session: None,
            last_id: 0,
            events: Vec::new(),
        }
    }

    /// From here on, calls and events are those of the page that this session is attached to.
    pub(crate) fn enter(&mut self, session: &str) {
        self.session = Some(session.to_owned());
    }

    /// Calls a method and returns its result.
    pub(crate) fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.socket
            .send(Message::text(message.to_string()))
            .unwrap_or_else(|error| panic!("{method}: the browser is gone: {error}"));
        let deadline = Instant::now() + LIMIT;
        loop {
            let mut answer = self
                .receive(deadline)
                .unwrap_or_else(|why| panic!("{method}: {why}"));
            if answer["id"] == self.last_id {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
            self.events.push(answer);
        }
    }

    /// What came until now does not count any longer.
    pub(crate) fn forget_events(&mut self) {
        self.events.clear();
    }

    /// Method and parameters of the events since they were last forgotten.
    pub(crate) fn events(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.events
            .iter()
            .filter_map(|event| Some((event["method"].as_str()?, &event["params"])))
    }

    /// The first event since they were last forgotten for which `matches` (method and parameters) is true; waits for it
    /// if need be.
    pub(crate) fn wait_for(
        &mut self,
        what: &str,
        matches: impl Fn(&str, &Value) -> bool,
    ) -> (String, Value) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let found = self.events().find(|(method, event)| matches(method, event));
            if let Some((method, event)) = found {
                return (method.to_owned(), event.clone());
            }
            match self.receive(deadline) {
                Ok(event) => self.events.push(event),
                Err(why) => panic!(
                    "waiting for {what}: {why}; came instead: {:#?}",
                    self.events
                ),
            }
        }
    }

    fn receive(&mut self, deadline: Instant) -> Result<Value, String> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("nothing within {LIMIT:?}"));
            }
            self.socket
                .get_ref()
                .set_read_timeout(Some(left))
                .map_err(|error| error.to_string())?;
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    return serde_json::from_str(&text).map_err(|error| error.to_string());
                }
                Ok(_) => {}
                Err(tungstenite::Error::Io(error))
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(format!("the browser is gone: {error}")),
            }
        }
    }
}
