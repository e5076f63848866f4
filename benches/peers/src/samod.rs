//! samod: a sync server over its WebSocket acceptor, and clients.

mod member;

use afield_benches::agent::{self, Failure};
use afield_benches::party::Contender;
use afield_tests::processes::Program;
use clap::{Parser, Subcommand};
use member::RepoMember;
use samod::storage::TokioFilesystemStorage;
use samod::{Repo, ShareConfig, Url};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

const SERVER: &str = "role-samod-server";
const CLIENT: &str = "role-samod-client";

/// The hidden subcommands.
#[derive(Debug, Parser)]
struct RoleArguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    #[command(name = SERVER)]
    Server { folder: PathBuf },
    #[command(name = CLIENT)]
    Client { folder: PathBuf, clients: usize },
}

/// How it is started.
pub(crate) fn contender() -> std::io::Result<Contender> {
    Ok(Contender { name: "samod", server: Program::own(SERVER)?, client: Program::own(CLIENT)? })
}

/// Becomes a server or clients when the process was started as one.
pub(crate) fn take() -> Option<ExitCode> {
    let first = std::env::args().nth(1)?;
    if first != SERVER && first != CLIENT {
        return None;
    }
    let result = match RoleArguments::parse().role {
        Role::Server { folder } => serve(&folder),
        Role::Client { folder, clients } => client(&folder, clients),
    };
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be reading standard error, and there is nowhere else to say it.
            let _ = writeln!(std::io::stderr(), "samod: {error}");
            ExitCode::FAILURE
        }
    })
}

fn client(folder: &Path, clients: usize) -> Result<(), Failure> {
    let runtime = Runtime::new()?;
    let members = runtime.block_on(RepoMember::open_all(folder, clients));
    agent::run(members, runtime)
}

/// Serves until it is asked to end.
fn serve(folder: &Path) -> Result<(), Failure> {
    Runtime::new()?.block_on(async {
        let mut end = signal(SignalKind::terminate())?;
        let storage = TokioFilesystemStorage::new(folder);
        // As a sync server has it: documents go to those who ask for them.
        let policy = ShareConfig::read_write().with_announce(false);
        let repo = Repo::build_tokio().with_storage(storage).with_share_policy(policy).load().await;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let acceptor =
            repo.make_acceptor(Url::parse(&format!("ws://{address}"))?).map_err(|_| "the repo has stopped")?;
        writeln!(std::io::stdout(), "{}", serde_json::json!({ "address": address }))?;
        loop {
            tokio::select! {
                _ = end.recv() => break,
                accepted = listener.accept() => {
                    let (stream, _) = accepted?;
                    stream.set_nodelay(true)?;
                    let acceptor = acceptor.clone();
                    tokio::spawn(async move {
                        // Whoever does not speak WebSocket is left alone.
                        if let Ok(socket) = tokio_tungstenite::accept_async(stream).await {
                            let _ = acceptor.accept_tungstenite(socket);
                        }
                    });
                }
            }
        }
        repo.stop().await;
        Ok(())
    })
}
