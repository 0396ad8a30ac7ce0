//! Where the database is, in the forms that the deployments of the original application use: a MySQL
//! URL, SQLAlchemy's `mysql+pymysql://` one, a host alone with the rest in variables of their own, or
//! a SQLite file.

use std::path::PathBuf;

use mysql_async::{Opts, OptsBuilder, SslOpts, UrlError};

use super::{Environment, Secret, secret};
use crate::database::Source;

pub(super) struct Databases {
    pub(super) primary: Source,
    pub(super) replica: Option<Source>,
}

/// What a URL leaves open.
struct Defaults {
    username: Option<String>,
    password: Option<Secret>,
    name: String,
    port: u16,
    tls_ca: Option<PathBuf>,
}

pub(super) fn read(environment: &mut Environment<'_>) -> Option<Databases> {
    let defaults = Defaults {
        username: environment.text("DATABASE_USERNAME"),
        password: secret::read(environment, "DATABASE_PASSWORD", "DATABASE_PASSWORD_FILE"),
        name: environment
            .text("DATABASE_NAME")
            .unwrap_or_else(|| "flaskcrud".to_owned()),
        port: environment.parse("DATABASE_PORT", 3306, "is no port; use 1 to 65535"),
        tls_ca: tls_ca(environment),
    };
    let primary = environment.text("DATABASE_URL");
    if primary.is_none() {
        environment.problem(
            "DATABASE_URL",
            "is required; use mysql://USER:PASSWORD@HOST:3306/NAME or sqlite:///var/lib/lintel/lintel.db",
        );
    }
    let primary = primary.and_then(|url| source(environment, "DATABASE_URL", &url, &defaults));
    let replica = environment.text("DATABASE_REPLICA_URL");
    let replica =
        replica.and_then(|url| source(environment, "DATABASE_REPLICA_URL", &url, &defaults));
    if matches!(replica, Some(Source::Sqlite(_)))
        || (replica.is_some() && matches!(primary, Some(Source::Sqlite(_))))
    {
        environment.problem(
            "DATABASE_REPLICA_URL",
            "only MySQL has replicas; leave it out",
        );
    }
    Some(Databases {
        primary: primary?,
        replica,
    })
}

fn tls_ca(environment: &mut Environment<'_>) -> Option<PathBuf> {
    let path = PathBuf::from(environment.text("DATABASE_TLS_CA")?);
    if let Err(error) = std::fs::File::open(&path) {
        environment.problem(
            "DATABASE_TLS_CA",
            format!(
                "{} cannot be read ({error}); name a PEM file of certificates",
                path.display()
            ),
        );
    }
    Some(path)
}

fn source(
    environment: &mut Environment<'_>,
    variable: &'static str,
    url: &str,
    defaults: &Defaults,
) -> Option<Source> {
    let url = url.trim();
    let source = match url.split_once("://") {
        Some(("sqlite", path)) => sqlite(path),
        Some(("mysql" | "mysql+pymysql", rest)) => mysql(rest, defaults),
        Some(_) => Err("names no database that is supported; use mysql:// or sqlite://".to_owned()),
        None => host(url, defaults),
    };
    source
        .map_err(|message| environment.problem(variable, message))
        .ok()
}

fn sqlite(path: &str) -> Result<Source, String> {
    if path.is_empty() || path == "/" || path.contains(":memory:") || path.contains('?') {
        return Err(
            "names no file; use sqlite:///absolute/path or sqlite://relative/path".to_owned(),
        );
    }
    Ok(Source::Sqlite(PathBuf::from(path)))
}

fn host(host: &str, defaults: &Defaults) -> Result<Source, String> {
    let (host, port) = match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') => (
            name,
            port.parse().map_err(|_| {
                "has a wrong port; use HOST:3306, or a URL that begins with mysql://".to_owned()
            })?,
        ),
        _ => (host, defaults.port),
    };
    if host.is_empty() || host.contains(['/', '@', ' ']) {
        return Err(
            "is neither a URL nor a host name; use mysql://USER:PASSWORD@HOST:3306/NAME".to_owned(),
        );
    }
    let builder = OptsBuilder::default()
        .ip_or_hostname(host)
        .tcp_port(port)
        .db_name(Some(&defaults.name));
    Ok(finish(builder, None, None, defaults))
}

fn mysql(rest: &str, defaults: &Defaults) -> Result<Source, String> {
    let opts = Opts::from_url(&format!("mysql://{}", without_charset(rest)))
        .map_err(|error| explain(&error))?;
    let (user, password) = (
        opts.user().map(str::to_owned),
        opts.pass().map(str::to_owned),
    );
    let host = opts.ip_or_hostname();
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    if opts.db_name().is_none() {
        return Err("names no database; end it with /NAME, for example /flaskcrud".to_owned());
    }
    // Through the builder the name is looked up at each connect, without blocking: that is how a
    // failed-over RDS is found again.
    let builder = OptsBuilder::from_opts(opts.clone()).ip_or_hostname(host);
    Ok(finish(builder, user, password, defaults))
}

fn finish(
    builder: OptsBuilder,
    user: Option<String>,
    password: Option<String>,
    defaults: &Defaults,
) -> Source {
    let password = password.or_else(|| {
        defaults
            .password
            .as_ref()
            .map(|secret| secret.expose().to_owned())
    });
    let mut builder = builder
        .user(user.or_else(|| defaults.username.clone()))
        .pass(password);
    if let Some(ca) = &defaults.tls_ca {
        builder = builder.ssl_opts(SslOpts::default().with_root_certs(vec![ca.clone().into()]));
    }
    Source::MySql(Box::new(builder.into()))
}

/// SQLAlchemy's `charset` says what is always so here; the driver does not know it.
fn without_charset(rest: &str) -> String {
    let Some((address, query)) = rest.split_once('?') else {
        return rest.to_owned();
    };
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !pair.starts_with("charset="))
        .collect();
    if kept.is_empty() {
        address.to_owned()
    } else {
        format!("{address}?{}", kept.join("&"))
    }
}

/// Without the URL itself: the password is in it.
fn explain(error: &UrlError) -> String {
    match error {
        UrlError::UnknownParameter { param } => format!("has an unknown parameter {param:?}; remove it"),
        UrlError::InvalidParamValue { param, .. } => format!("has a wrong value for {param:?}"),
        UrlError::FeatureRequired { param, .. } => format!("has a parameter {param:?} that is not supported"),
        UrlError::Invalid
        | UrlError::InvalidPoolConstraints { .. }
        | UrlError::Parse(_)
        | UrlError::UnsupportedScheme { .. } => {
            "is no valid URL; use mysql://USER:PASSWORD@HOST:3306/NAME, with @ : / # ? % in the password \
             written as %40 %3A %2F %23 %3F %25"
                .to_owned()
        }
    }
}
