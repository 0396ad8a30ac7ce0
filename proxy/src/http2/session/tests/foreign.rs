//! The client is another implementation: what either side sends arrives at the other, fields, content, trailers and resets.

use std::cell::RefCell;
use std::future::poll_fn;
use std::time::Duration;

use futures_util::future::{join, join_all};
use h2::client::SendRequest;
use http::{HeaderName, HeaderValue, Method};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use server::Server;

mod server;

type Pairs = Vec<(usize, usize)>;

#[derive(Debug, Clone)]
struct Message {
    /// Of names and values that are there again and again.
    fields: Pairs,
    /// Pieces of content.
    pieces: Vec<usize>,
    trailers: Pairs,
    says_length: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    /// Before the last piece.
    ServerResets,
    ClientResets,
}

#[derive(Debug, Clone)]
struct Exchange {
    request: Message,
    response: Message,
    status: u16,
    /// The response begins before the request has come.
    early: bool,
    end: End,
}

#[derive(Debug, Clone)]
struct Settings {
    window: u32,
    connection_window: u32,
    table: u32,
    /// Of the pipe between both.
    pipe: usize,
}

const NAMES: [&str; 12] = [
    "server",
    "date",
    "content-type",
    "set-cookie",
    "cookie",
    "authorization",
    "accept",
    "x",
    "x-request-id",
    "vary",
    "etag",
    "a-name-that-is-so-long-that-no-static-table-has-it-and-no-word-either",
];

const TRAILERS: [&str; 3] = ["x", "x-checksum", "grpc-status"];

fn value(nth: usize) -> Vec<u8> {
    match nth {
        0 => Vec::new(),
        1 => b"text/html; charset=utf-8".to_vec(),
        2 => b"gzip, deflate".to_vec(),
        3 => vec![0xe4, b' ', b'\t', 0xff, b'~'],
        // Too large for some tables, and for any.
        4 => vec![b'a'; 130],
        5 => (b' '..=b'~').cycle().skip(1).take(1200).collect(),
        6 => vec![b'z'; 6000],
        nth => format!("value {}", nth % 40).into_bytes(),
    }
}

fn text(bytes: usize, seed: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 249 + seed) as u8).collect()
}

impl Message {
    fn length(&self) -> usize {
        self.pieces.iter().sum()
    }

    fn fields(&self) -> HeaderMap {
        let mut fields = headers(&NAMES, &self.fields);
        if self.says_length {
            fields.insert("content-length", self.length().into());
        }
        fields
    }

    fn trailers(&self) -> HeaderMap {
        headers(&TRAILERS, &self.trailers)
    }
}

fn headers(names: &[&'static str], pairs: &Pairs) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, nth)| {
        let value = HeaderValue::from_bytes(value(*nth)[..].trim_ascii()).unwrap();
        (HeaderName::from_static(names[name % names.len()]), value)
    });
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name, value);
    }
    headers
}

fn message() -> impl Strategy<Value = Message> {
    let pairs = |most| vec((any::<usize>(), 0..60_usize), 0..most);
    let piece = prop_oneof![4 => 0..100_usize, 2 => 0..20_000_usize, 1 => 0..90_000_usize];
    let trailers = prop_oneof![2 => Just(Vec::new()).boxed(), 1 => pairs(4).boxed()];
    let message = (pairs(12), vec(piece, 0..5), trailers, any::<bool>());
    message.prop_map(|(fields, pieces, trailers, says_length)| Message {
        fields,
        pieces,
        trailers,
        says_length,
    })
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let ends = [End::Whole; 6].into_iter();
    let ends: Vec<_> = ends.chain([End::ServerResets, End::ClientResets]).collect();
    let statuses = vec![200, 206, 404, 302, 418, 500, 599];
    let rest = (prop::sample::select(statuses), any::<bool>());
    let messages = (message(), message());
    let all = (messages, rest, prop::sample::select(ends));
    all.prop_map(|((request, response), (status, early), end)| Exchange {
        request,
        response,
        status,
        early,
        end,
    })
}

fn some_settings() -> impl Strategy<Value = Settings> {
    let windows = vec![1000, 16_384, 65_535, 1 << 20];
    let tables = vec![0, 64, 4096, 65_536];
    let all = (
        prop::sample::select(windows),
        prop::sample::select(vec![65_535, 1 << 20]),
        prop::sample::select(tables),
        prop::sample::select(vec![500, 5000, 1 << 17]),
    );
    all.prop_map(|(window, connection_window, table, pipe)| Settings {
        window,
        connection_window,
        table,
        pipe,
    })
}

async fn ask(requests: SendRequest<Bytes>, nth: usize, exchange: &Exchange) {
    let mut requests = requests.ready().await.unwrap();
    let mut request = http::Request::new(());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = format!("https://a/{nth}").parse().unwrap();
    *request.headers_mut() = exchange.request.fields();
    let message = &exchange.request;
    let over = message.pieces.is_empty() && message.trailers.is_empty();
    let resets = exchange.end == End::ClientResets;
    let (response, to) = requests.send_request(request, over && !resets).unwrap();
    let sent = upload(to, message, over, resets);
    let (sent, heard) = join(sent, download(response, exchange)).await;
    if exchange.end == End::Whole {
        sent.unwrap();
        heard.unwrap();
    } else if exchange.end == End::ServerResets {
        assert_eq!(heard.unwrap_err().reason(), Some(h2::Reason::CANCEL));
    }
}

async fn upload(
    mut to: h2::SendStream<Bytes>,
    message: &Message,
    over: bool,
    resets: bool,
) -> Result<(), h2::Error> {
    if over && !resets {
        return Ok(());
    }
    let mut rest = Bytes::from(text(message.length(), 1));
    while !rest.is_empty() {
        to.reserve_capacity(rest.len().min(20_000));
        let room = poll_fn(|cx| to.poll_capacity(cx)).await;
        let Some(room) = room.transpose()? else {
            return Ok(());
        };
        to.send_data(rest.split_to(room.min(rest.len())), false)?;
    }
    if resets {
        to.send_reset(h2::Reason::CANCEL);
        return Ok(());
    }
    if message.trailers.is_empty() {
        to.send_data(Bytes::new(), true)
    } else {
        to.send_trailers(message.trailers())
    }
}

async fn download(response: h2::client::ResponseFuture, of: &Exchange) -> Result<(), h2::Error> {
    let response = response.await?;
    assert_eq!(response.status(), of.status);
    assert_eq!(*response.headers(), of.response.fields());
    let mut body = response.into_body();
    let mut content = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        content.extend_from_slice(&piece);
        body.flow_control().release_capacity(piece.len())?;
    }
    let trailers = body.trailers().await?;
    assert!(content == text(of.response.length(), 2));
    assert_eq!(trailers.unwrap_or_default(), of.response.trailers());
    Ok(())
}

async fn talk(settings: &Settings, exchanges: &[Exchange]) {
    let (ours, theirs) = tokio::io::duplex(settings.pipe);
    let server = RefCell::new(Server::new(ours, exchanges));
    let client = async {
        let (requests, connection) = h2::client::Builder::new()
            .initial_window_size(settings.window)
            .initial_connection_window_size(settings.connection_window)
            .header_table_size(settings.table)
            .handshake(theirs)
            .await
            .unwrap();
        let asked = async move {
            let numbered = exchanges.iter().enumerate();
            let all = numbered.map(|(nth, exchange)| ask(requests.clone(), nth, exchange));
            join_all(all).await;
        };
        let (ended, ()) = join(connection, asked).await;
        ended.unwrap();
    };
    join(client, poll_fn(|cx| server.borrow_mut().poll(cx))).await;
    server.into_inner().check();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn another_implementation_gets_what_is_sent_and_sends_what_comes(
        settings in some_settings(),
        exchanges in vec(exchange(), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().build().unwrap();
        let longest = Duration::from_secs(60);
        let talk = async { tokio::time::timeout(longest, talk(&settings, &exchanges)).await };
        runtime.block_on(talk).expect("all get on");
    }
}
