"""Answers as text: tables for people, JSON and tabs for programs."""
