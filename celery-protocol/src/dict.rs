//! A Python dict with text keys.

use std::collections::HashMap;

use crate::text::Text;
use crate::value::Value;

/// A `dict` as JSON represents it: the keys are strings in the order of their first insertion, and the last value of a
/// key wins (contract A.8).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dict(Vec<(Text, Value)>);

impl Dict {
    /// Creates an empty dict.
    pub const fn new() -> Dict {
        Dict(Vec::new())
    }

    /// Returns the value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(own, _)| own == key).map(|(_, value)| value)
    }

    /// Sets a key: in place if it exists, else at the end.
    pub fn insert(&mut self, key: impl Into<Text>, value: impl Into<Value>) {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(own, _)| *own == key) {
            Some((_, own)) => *own = value,
            None => self.0.push((key, value)),
        }
    }

    /// Removes a key and returns its value.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let index = self.0.iter().position(|(own, _)| own == key)?;
        Some(self.0.remove(index).1)
    }

    /// Returns the keys and values in order.
    pub fn iter(&self) -> std::slice::Iter<'_, (Text, Value)> {
        self.0.iter()
    }

    /// Returns the number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Takes time proportional to the number of pairs, however many keys repeat.
impl<K: Into<Text>, V: Into<Value>> FromIterator<(K, V)> for Dict {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Dict {
        let mut items: Vec<(Text, Value)> = pairs
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect();
        if has_repeated_key(&items) {
            items = without_repeats(items);
        }
        Dict(items)
    }
}

fn has_repeated_key(items: &[(Text, Value)]) -> bool {
    if items.len() <= 16 {
        return items
            .iter()
            .enumerate()
            .any(|(i, (key, _))| items.iter().take(i).any(|(earlier, _)| earlier == key));
    }
    let mut keys: Vec<&Text> = items.iter().map(|(key, _)| key).collect();
    keys.sort_unstable();
    keys.array_windows().any(|[a, b]| a == b)
}

fn without_repeats(items: Vec<(Text, Value)>) -> Vec<(Text, Value)> {
    let mut positions: HashMap<Text, usize> = HashMap::with_capacity(items.len());
    let mut unique: Vec<(Text, Value)> = Vec::with_capacity(items.len());
    for (key, value) in items {
        let known = positions.get(&key).and_then(|position| unique.get_mut(*position));
        if let Some((_, own)) = known {
            *own = value;
        } else {
            positions.insert(key.clone(), unique.len());
            unique.push((key, value));
        }
    }
    unique
}

impl<'a> IntoIterator for &'a Dict {
    type Item = &'a (Text, Value);
    type IntoIter = std::slice::Iter<'a, (Text, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl IntoIterator for Dict {
    type Item = (Text, Value);
    type IntoIter = std::vec::IntoIter<(Text, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_wins_at_the_first_place() {
        let dict: Dict = [("a", 1), ("b", 2), ("a", 3)].into_iter().collect();
        assert_eq!(
            dict.iter()
                .map(|(key, value)| (key.to_string(), value.as_i64()))
                .collect::<Vec<_>>(),
            [("a".to_owned(), Some(3)), ("b".to_owned(), Some(2)),]
        );
    }

    #[test]
    fn many_repeated_keys_take_linear_time() {
        let dict: Dict = (0..200_000).map(|n| (format!("k{}", n % 100_000), n)).collect();
        assert_eq!(dict.len(), 100_000);
        assert_eq!(
            dict.iter().last().and_then(|(_, value)| value.as_i64()),
            Some(199_999)
        );
    }
}
