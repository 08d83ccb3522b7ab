"""Small pieces that know no app: money, ids, crypto, Valkey pipelining, change announcements, charts."""
