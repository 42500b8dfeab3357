//! A walk through a tree, node by node, each with its place.
//!
//! Owns nothing: places live on the stack of the walk. Must not know what is looked for.

use std::fmt;

use crate::node::Node;

/// Where a node is.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// The whole document.
    Root,
    /// A member of the object at a place.
    Member(&'a Place<'a>, &'a str),
    /// An item of the array at a place.
    Item(&'a Place<'a>, usize),
}

/// The JSON pointer.
impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Root => Ok(()),
            Place::Member(above, name) => {
                write!(f, "{above}/{}", name.replace('~', "~0").replace('/', "~1"))
            }
            Place::Item(above, index) => write!(f, "{above}/{index}"),
        }
    }
}

/// What is to happen with a node that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Look at what is inside it too.
    Descend,
    /// Leave it as it is now.
    Leave,
    /// Take it out of its object or array. The whole document cannot be taken out.
    Remove,
}

/// Shows every node to `visit`, the outer before the inner, in their order; `visit` may
/// change what it sees.
pub fn edit<'a>(node: &mut Node<'a>, visit: &mut dyn FnMut(&Place<'_>, &mut Node<'a>) -> Then) {
    stays(node, &Place::Root, visit);
}

fn stays<'a>(
    node: &mut Node<'a>,
    place: &Place<'_>,
    visit: &mut dyn FnMut(&Place<'_>, &mut Node<'a>) -> Then,
) -> bool {
    match visit(place, node) {
        Then::Remove => return false,
        Then::Leave => return true,
        Then::Descend => {}
    }
    match node {
        Node::List(items) => {
            let mut index = 0;
            items.retain_mut(|item| {
                index += 1;
                stays(item, &Place::Item(place, index - 1), visit)
            });
        }
        Node::Object(members) => {
            members.retain_mut(|(name, member)| stays(member, &Place::Member(place, name), visit));
        }
        Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) => {}
    }
    true
}
