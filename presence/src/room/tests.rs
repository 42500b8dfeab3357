//! One channel, without a runtime: what is written, what is told, and that whoever applies
//! what it is told knows who is there.

use proptest::prelude::*;
use protocol::frame::{Join, Leave};

use super::*;
use crate::roster::who;
use crate::told::COUNT_PACE;

fn member(user: &str, session: &str, since: u64) -> Member {
    Member {
        user: user.into(),
        client: "c".into(),
        session: session.into(),
        since,
    }
}

fn node(number: u64) -> NodeId {
    NodeId::from_random(number)
}

fn part(names: &[&str]) -> Part {
    Part {
        count: names.len() as u32,
        members: Some(names.iter().map(|name| member(name, "s", 1)).collect()),
    }
}

fn living(numbers: &[u64]) -> Living {
    numbers.iter().map(|number| node(*number)).collect()
}

fn names(presence: &Presence) -> Vec<String> {
    let members = presence.members.clone().expect("they are named");
    members.into_iter().map(|member| member.user).collect()
}

#[test]
fn a_storm_of_sessions_is_written_at_its_pace() {
    let (mut room, alone, mut now) = (Room::new("room.1", 200), Living::new(), Instant::now());
    let mut writes = 0;
    for n in 0..1_000_u64 {
        room.join(n, &member(&format!("u{n}"), "s", n));
        for act in room.poll(&alone, now) {
            assert!(matches!(act, Act::Write(_)));
            writes += 1;
            room.wrote(true, now);
        }
        now += Duration::from_millis(1);
    }
    assert_eq!(writes, 10, "ten a second");
    let due = room.due(&alone, now).expect("the rest is shown later");
    let acts = room.poll(&alone, due);
    assert!(
        matches!(&acts[..], [Act::Write(part)] if part.count == 1_000 && part.members.is_none())
    );
}

#[test]
fn what_comes_and_goes_between_two_states_is_seen_by_nobody() {
    let (mut room, alone, now) = (Room::new("room.1", 200), Living::new(), Instant::now());
    room.join(1, &member("ann", "s", 1));
    assert_eq!(room.poll(&alone, now).len(), 1);
    room.wrote(true, now);
    let joe = member("joe", "s", 1);
    room.join(2, &joe);
    assert!(room.poll(&alone, now).is_empty());
    room.leave(2, &who(&joe));
    let due = room.due(&alone, now).unwrap();
    assert!(room.poll(&alone, due).is_empty(), "nothing has changed");
    assert_eq!(room.due(&alone, due), None);
}

#[test]
fn one_write_at_a_time_and_what_failed_is_tried_again() {
    let (mut room, alone, now) = (Room::new("room.1", 200), Living::new(), Instant::now());
    let ann = member("ann", "s", 1);
    room.join(1, &ann);
    assert!(matches!(room.poll(&alone, now)[..], [Act::Write(_)]));
    room.leave(1, &who(&ann));
    let later = now + SHOW_PACE;
    assert!(
        room.poll(&alone, later).is_empty(),
        "the first is under way"
    );
    room.wrote(false, later);
    assert_eq!(room.due(&alone, later), Some(later + WRITE_RETRY));
    assert_eq!(room.poll(&alone, later + WRITE_RETRY), [Act::Remove]);
    assert!(!room.is_over());
    room.wrote(true, later);
    assert!(room.is_over() && room.poll(&alone, later).is_empty());
}

#[test]
fn who_came_and_went_before_anything_was_written_leaves_nothing_to_remove() {
    let (mut room, alone, now) = (Room::new("room.1", 200), Living::new(), Instant::now());
    let ann = member("ann", "s", 1);
    room.join(1, &ann);
    room.leave(1, &who(&ann));
    assert!(room.poll(&alone, now).is_empty());
    assert!(room.is_over());
}

#[test]
fn a_part_that_the_store_has_lost_is_written_anew() {
    let (mut room, alone, now) = (Room::new("room.1", 200), Living::new(), Instant::now());
    room.found(false);
    room.found(false);
    assert!(room.poll(&alone, now).is_empty(), "there is none");
    room.join(1, &member("ann", "s", 1));
    room.poll(&alone, now);
    room.found(false);
    room.found(false);
    room.wrote(true, now);
    assert!(room.poll(&alone, now).is_empty(), "it was under way");
    for found in [false, true, false] {
        room.found(found);
        assert!(room.poll(&alone, now).is_empty());
    }
    room.found(false);
    assert!(matches!(room.poll(&alone, now)[..], [Act::Write(_)]));
}

#[test]
fn under_another_name_everything_is_written_anew() {
    let (mut room, alone, now) = (Room::new("room.1", 200), Living::new(), Instant::now());
    room.join(1, &member("ann", "s", 1));
    room.poll(&alone, now);
    room.wrote(true, now);
    room.renamed();
    assert!(matches!(room.poll(&alone, now)[..], [Act::Write(_)]));
    let mut empty = Room::new("room.2", 200);
    empty.renamed();
    assert!(empty.poll(&alone, now).is_empty());
}

#[test]
fn members_of_the_living_count_and_of_nobody_else() {
    let (mut room, now) = (Room::new("room.1", 200), Instant::now());
    room.follow();
    room.heard(node(1), 5, Some(part(&["ann"])));
    room.heard(node(2), 6, Some(part(&["joe"])));
    let first = room.watch(&living(&[1]), now);
    assert_eq!(names(&first), ["ann"]);
    let acts = room.poll(&living(&[2]), now);
    let [Act::Tell(pushes)] = &acts[..] else {
        panic!("{acts:?}")
    };
    assert!(matches!(&pushes[..], [Push::Leave(_), Push::Join(_)]));
}

#[test]
fn older_parts_change_nothing_and_one_read_that_lacks_a_part_is_no_proof() {
    let (mut room, now, alive) = (Room::new("room.1", 200), Instant::now(), living(&[1]));
    room.follow();
    room.heard(node(1), 5, Some(part(&["ann"])));
    room.watch(&alive, now);
    room.heard(node(1), 4, None);
    room.read(vec![(node(1), 3, Some(part(&["joe"])))]);
    assert!(room.poll(&alive, now).is_empty());
    room.read(Vec::new());
    assert!(room.poll(&alive, now).is_empty());
    room.read(Vec::new());
    let acts = room.poll(&alive, now);
    assert!(matches!(&acts[..], [Act::Tell(pushes)] if matches!(&pushes[..], [Push::Leave(_)])));
}

#[test]
fn a_writer_on_two_nodes_is_one_member_and_moves_without_leaving() {
    let (mut room, now, both) = (Room::new("room.1", 200), Instant::now(), living(&[1, 2]));
    room.follow();
    room.heard(node(1), 5, Some(part(&["ann"])));
    assert_eq!(room.watch(&both, now).count, 1);
    let moved = Part {
        count: 1,
        members: Some(vec![member("ann", "new", 9)]),
    };
    room.heard(node(2), 6, Some(moved));
    let acts = room.poll(&both, now);
    assert!(
        matches!(&acts[..], [Act::Tell(pushes)] if matches!(&pushes[..], [Push::Join(join)] if join.session == "new"))
    );
    assert!(
        room.poll(&living(&[2]), now).is_empty(),
        "its first node has died"
    );
}

#[test]
fn names_beyond_the_number_are_let_go_of_and_read_again() {
    let (mut room, now, alive) = (Room::new("room.1", 4), Instant::now(), living(&[1, 2]));
    room.follow();
    room.heard(node(1), 5, Some(part(&["a", "b", "c"])));
    room.heard(node(2), 6, Some(part(&["d"])));
    assert_eq!(
        room.watch(&alive, now).members.map(|all| all.len()),
        Some(4)
    );
    room.heard(node(2), 7, Some(part(&["d", "e"])));
    let acts = room.poll(&alive, now);
    assert!(
        matches!(&acts[..], [Act::Tell(pushes)] if matches!(&pushes[..], [Push::Presence(all)] if all.count == 5 && all.members.is_none()))
    );
    assert!(
        room.others
            .values()
            .all(|held| held.part.as_ref().unwrap().members.is_none())
    );
    room.heard(node(2), 8, None);
    let later = now + COUNT_PACE;
    let acts = room.poll(&alive, later);
    assert!(matches!(&acts[..], [Act::Read, Act::Tell(_)]), "{acts:?}");
    room.read(vec![
        (node(1), 5, Some(part(&["a", "b", "c"]))),
        (node(2), 8, None),
    ]);
    let later = later + COUNT_PACE;
    let acts = room.poll(&alive, later);
    assert!(
        matches!(&acts[..], [Act::Tell(pushes)] if matches!(&pushes[..], [Push::Presence(all)] if names(all) == ["a", "b", "c"]))
    );
}

#[test]
fn another_number_is_obeyed_at_once() {
    let (mut room, now, alone) = (Room::new("room.1", 4), Instant::now(), Living::new());
    for (id, name) in [(1, "a"), (2, "b"), (3, "c")] {
        room.join(id, &member(name, "s", 1));
    }
    room.poll(&alone, now);
    room.wrote(true, now);
    assert!(room.watch(&alone, now).members.is_some());
    room.limit(2);
    let later = now + COUNT_PACE;
    let acts = room.poll(&alone, later);
    assert!(
        matches!(&acts[..], [Act::Write(part), Act::Tell(_)] if part.members.is_none()),
        "{acts:?}"
    );
}

/// What a client makes of what it is told.
struct Client(Presence);

impl Client {
    fn apply(&mut self, push: &Push) {
        match push {
            Push::Presence(all) => self.0 = all.clone(),
            Push::Join(join) => self.join(join),
            Push::Leave(leave) => self.leave(leave),
            other => panic!("{other:?}"),
        }
    }

    fn join(&mut self, join: &Join) {
        let members = self.0.members.as_mut().expect("they are named");
        members.retain(|known| (&known.user, &known.client) != (&join.user, &join.client));
        members.push(join.clone().member());
        self.0.count = members.len() as u32;
    }

    fn leave(&mut self, leave: &Leave) {
        let members = self.0.members.as_mut().expect("they are named");
        let before = members.len();
        members.retain(|known| (&known.user, &known.client) != (&leave.user, &leave.client));
        assert_eq!(members.len() + 1, before, "it was not there: {leave:?}");
        self.0.count = members.len() as u32;
    }
}

#[derive(Debug, Clone)]
enum Input {
    Join(u8),
    Leave(u8),
    Heard(u64, Vec<u8>),
    Lost(u64, Vec<u8>),
    Compare,
    Dies(u64),
    Lives(u64),
    Wrote(bool),
    Renamed,
    Limit(u32),
    Pass(u64),
}

fn input() -> impl Strategy<Value = Input> {
    let names = || proptest::collection::vec(0_u8..8, 0..6);
    prop_oneof![
        3 => (0_u8..8).prop_map(Input::Join),
        3 => (0_u8..8).prop_map(Input::Leave),
        4 => (1_u64..4, names()).prop_map(|(node, names)| Input::Heard(node, names)),
        2 => (1_u64..4, names()).prop_map(|(node, names)| Input::Lost(node, names)),
        1 => Just(Input::Compare),
        1 => (1_u64..4).prop_map(Input::Dies),
        2 => (1_u64..4).prop_map(Input::Lives),
        2 => any::<bool>().prop_map(Input::Wrote),
        1 => Just(Input::Renamed),
        1 => (0_u32..8).prop_map(Input::Limit),
        4 => (0_u64..700).prop_map(Input::Pass),
    ]
}

/// The world around a room: what nodes have said, who lives, what the client knows.
struct World {
    room: Room,
    client: Client,
    store: BTreeMap<u64, (u64, Option<Part>)>,
    own: BTreeMap<u8, Member>,
    alive: BTreeSet<u64>,
    revision: u64,
    list_max: u32,
    now: Instant,
    /// The store's answer to a read is due.
    reads: bool,
    /// The part that is being written.
    writing: bool,
}

impl World {
    fn new() -> Self {
        let mut room = Room::new("room.1", 4);
        let now = Instant::now();
        room.follow();
        let client = Client(room.watch(&Living::new(), now));
        Self {
            room,
            client,
            store: BTreeMap::new(),
            own: BTreeMap::new(),
            alive: BTreeSet::new(),
            revision: 0,
            list_max: 4,
            now,
            reads: false,
            writing: false,
        }
    }

    fn living(&self) -> Living {
        self.alive.iter().map(|number| node(*number)).collect()
    }

    fn says(&mut self, number: u64, names: &[u8]) -> (u64, Option<Part>) {
        self.revision += 1;
        let named: BTreeSet<_> = names.iter().collect();
        let members = named.iter().map(|n| member(&n.to_string(), "s", number));
        let members: Vec<Member> = members.collect();
        let count = members.len() as u32;
        let part = (count > 0).then(|| Part {
            count,
            members: (count <= self.list_max).then_some(members),
        });
        self.store.insert(number, (self.revision, part.clone()));
        (self.revision, part)
    }

    fn compare(&mut self) {
        let parts = self.store.iter();
        let parts =
            parts.map(|(number, (revision, part))| (node(*number), *revision, part.clone()));
        self.room.read(parts.collect());
        self.reads = false;
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Join(n) => {
                let joined = member(&n.to_string(), "own", 9);
                self.room.join(u64::from(n), &joined);
                self.own.insert(n, joined);
            }
            Input::Leave(n) => {
                if let Some(left) = self.own.remove(&n) {
                    self.room.leave(u64::from(n), &who(&left));
                }
            }
            Input::Heard(number, names) => {
                let (revision, part) = self.says(number, &names);
                self.room.heard(node(number), revision, part);
            }
            Input::Lost(number, names) => drop(self.says(number, &names)),
            Input::Compare => self.compare(),
            Input::Dies(number) => drop(self.alive.remove(&number)),
            Input::Lives(number) => drop(self.alive.insert(number)),
            Input::Wrote(stored) => {
                if std::mem::take(&mut self.writing) {
                    self.room.wrote(stored, self.now);
                }
            }
            Input::Renamed => self.room.renamed(),
            Input::Limit(list_max) => {
                self.list_max = list_max;
                self.room.limit(list_max);
            }
            Input::Pass(millis) => self.now += Duration::from_millis(millis),
        }
        self.poll();
    }

    fn poll(&mut self) {
        for act in self.room.poll(&self.living(), self.now) {
            match act {
                Act::Write(_) | Act::Remove => {
                    assert!(!self.writing, "one write at a time");
                    self.writing = true;
                }
                Act::Tell(pushes) => pushes.iter().for_each(|push| self.client.apply(push)),
                Act::Read => self.reads = true,
            }
        }
    }

    /// Lets everything come that is on its way.
    fn settle(&mut self) {
        self.compare();
        for _ in 0..8 {
            if std::mem::take(&mut self.writing) {
                self.room.wrote(true, self.now);
            }
            if self.reads {
                self.compare();
            }
            self.now += COUNT_PACE;
            self.poll();
        }
    }

    /// Who is there: the union of what the living have written, and of who is here.
    fn expected(&self) -> (BTreeSet<String>, bool) {
        let parts = self.store.iter().filter(|(n, _)| self.alive.contains(n));
        let parts = parts.filter_map(|(_, (_, part))| part.as_ref());
        let named = parts.clone().all(|part| part.members.is_some());
        let others = parts.flat_map(|part| part.members.iter().flatten());
        let all = others.chain(self.own.values());
        (all.map(|member| member.user.clone()).collect(), named)
    }
}

proptest! {
    /// Whatever comes in whatever order, lost parts, deaths and refusals included: once
    /// it is quiet, whoever applied what it was told knows who is there.
    #[test]
    fn who_applies_what_it_is_told_knows_who_is_there(inputs in proptest::collection::vec(input(), 0..60)) {
        let mut world = World::new();
        for input in inputs {
            world.take(input);
        }
        world.settle();
        let (expected, named) = world.expected();
        let told = &world.client.0;
        prop_assert!(world.room.due(&world.living(), world.now).is_none(), "it is quiet");
        match &told.members {
            Some(members) => {
                let known: BTreeSet<String> = members.iter().map(|member| member.user.clone()).collect();
                prop_assert_eq!(known, expected);
                prop_assert!(told.count <= world.list_max);
            }
            // Where nodes only count, a writer on two of them is counted twice.
            None if named => {
                prop_assert!(told.count >= expected.len() as u32);
                prop_assert!(!named_again(told.count, world.list_max));
            }
            None => prop_assert!(told.count >= expected.len() as u32),
        }
    }
}
