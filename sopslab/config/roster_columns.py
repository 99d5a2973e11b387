"""What the columns of other programs' exports mean, by their headers in many languages. Pure.

The words are those of Moodle, Canvas, Blackboard, Brightspace, GitHub Classroom and Google
Classroom, and what people write above the columns of a spreadsheet.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from enum import Enum, auto


class Meaning(Enum):
    """What a column says about a learner."""

    ID = auto()
    """A column called `id`: a roster's own ids, or any numbers of another program."""
    LOGIN = auto()
    FIRST = auto()
    LAST = auto()
    NAME = auto()
    EMAIL = auto()
    GROUP = auto()
    IDENTIFIER = auto()
    """The identifiers that GitHub Classroom was given: addresses, numbers or names."""


# Accents, capital letters and punctuation do not matter: `_plain` removes them.
_WORDS: Mapping[Meaning, str] = {
    Meaning.ID: "id",
    Meaning.IDENTIFIER: "identifier",
    Meaning.LOGIN: """
        username, user name, user, user id, userid, login, login id, login name, loginname,
        sis login id, github_username, github user name, github login, github, netid, uid, account,
        benutzername, benutzerkennung, benutzer, nutzername, kennung, anmeldename,
        nom d'utilisateur, identifiant, nombre de usuario, usuario, nome utente,
        nome de usuário, nome de utilizador, usuário, utilizador, gebruikersnaam,
        nazwa użytkownika, uživatelské jméno, användarnamn, brukernavn, brugernavn, käyttäjätunnus
    """,
    Meaning.FIRST: """
        first name, firstname, first, given name, given names, givenname, forename, forenames,
        vorname, vornamen, rufname, prénom, prénoms, primer nombre, primeiro nome,
        voornaam, roepnaam, imię, imiona, křestní jméno, krstné meno, förnamn, fornavn, etunimi,
        keresztnév, prenume
    """,
    Meaning.LAST: """
        last name, lastname, last, surname, family name, familyname,
        nachname, familienname, zuname, nom de famille, apellido, apellidos, apellido(s), cognome,
        sobrenome, apelido, apelidos, último nome, achternaam, nazwisko, příjmení, priezvisko,
        efternamn, etternavn, efternavn, sukunimi, vezetéknév
    """,
    Meaning.NAME: """
        name, full name, fullname, student name, display name, displayname, student, learner,
        participant, roster name, first and last name, first name / last name, first name / surname,
        vollständiger name, vor- und nachname, vorname nachname, vorname und nachname,
        nachname vorname, teilnehmer, teilnehmerin, teilnehmer/in, teilnehmende, studierende,
        nom, nom complet, nom et prénom, prénom et nom, nom prénom, étudiant, étudiante,
        nombre, nombre(s), nombre completo, nombre y apellidos, apellidos y nombre, estudiante,
        alumno, alumna, participante, nome, nome completo, nome e cognome, cognome e nome, studente,
        studentessa, estudante, aluno, aluna, nome e sobrenome,
        naam, volledige naam, imię i nazwisko, nazwisko i imię, jméno, celé jméno, jméno a příjmení,
        meno, meno a priezvisko, namn, fullständigt namn, navn, fullt navn, nimi, név, nume
    """,
    Meaning.EMAIL: """
        email, e-mail, mail, email address, e-mail address, mail address, primary email, email id,
        school email, student email, mailadresse, emailadresse, e-mail-adresse, e-mail adresse,
        courriel, adresse de courriel, adresse e-mail, adresse mail, adresse électronique, mél,
        dirección de correo, dirección de correo electrónico, dirección email, dirección de email,
        correo, correo electrónico, indirizzo email, indirizzo e-mail, indirizzo mail,
        indirizzo di posta elettronica, posta elettronica, endereço de email, endereço de e-mail,
        endereço eletrônico, endereço eletrónico, correio eletrônico, correio eletrónico,
        emailadres, e-mailadres, mailadres, adres e-mail, adres email, e-mailová adresa,
        e-postadress, e-post, epostadress, e-postadresse, sähköposti, sähköpostiosoite
    """,
    Meaning.GROUP: """
        group, groups, group name, section, sections, team, table,
        gruppe, gruppen, tisch, groupe, groupes, équipe, grupo, grupos, equipo, equipe,
        gruppo, gruppi, turma, groep, groepen, grupa, grupy, skupina, skupiny, grupp, grupper, ryhmä
    """,
}
# Headers of whole names, or of one half if a column beside it has the other half:
# "Vorname; Name", "Nome; Cognome".
_EITHER = "name, nom, nombre, nombre(s), nome, naam, jméno, meno, namn, navn, nimi, név, nume"


def meanings(header: Sequence[str]) -> dict[Meaning, list[int]]:
    """Return the columns of each meaning, by their headers; a meaning without columns is absent."""
    found: dict[Meaning, list[int]] = {}
    for number, text in enumerate(header):
        meaning = _MEANINGS.get(_plain(text))
        if meaning is not None:
            found.setdefault(meaning, []).append(number)
    halves = {Meaning.FIRST, Meaning.LAST} - set(found)
    either = [n for n in found.get(Meaning.NAME, ()) if _plain(header[n]) in _HALVES]
    if len(halves) == 1 and len(either) == 1:
        found[halves.pop()] = either
        found[Meaning.NAME] = [n for n in found[Meaning.NAME] if n not in either]
    return {meaning: columns for meaning, columns in found.items() if columns}


def same_header(one: str, other: str) -> bool:
    """Return whether two headers differ in case, accents, blanks and punctuation at most."""
    return _plain(one) == _plain(other)


def _plain(text: str) -> str:
    """Return the letters and digits of a header, without accents, in small letters."""
    letters = unicodedata.normalize("NFKD", text.casefold()).replace("ł", "l")
    kept = "".join(sign for sign in letters if not unicodedata.combining(sign))
    return re.sub(r"[\W_]+", " ", kept).strip()


_MEANINGS = {
    _plain(words): meaning for meaning, text in _WORDS.items() for words in text.split(",")
}
_HALVES = frozenset(map(_plain, _EITHER.split(",")))
