"""Messages as mail servers send them back: about a mail of ours, in their own words."""

from services.domain.verp import envelope_sender

TOKEN = "0190c0de" * 4
DOMAIN = "opdrachten.example"
TARGET = "jan.peeters@start-it.example"


def _crlf(text: str) -> bytes:
    return text.strip("\n").replace("\n", "\r\n").encode() + b"\r\n"


def returned_headers(token: str = TOKEN) -> str:
    """Give the head of the mail that came back."""
    return (
        f"Return-Path: <{envelope_sender(token, DOMAIN)}>\nMessage-ID: <{token}@{DOMAIN}>\n"
        f"From: Omroeper <omroeper@{DOMAIN}>\nTo: {TARGET}\nSubject: Slimme straatlampen\n"
    )


def postfix(
    token: str = TOKEN,
    *,
    status: str = "5.1.1",
    action: str = "failed",
    said: str = f"550 5.1.1 <{TARGET}>: Recipient address rejected: User unknown",
) -> bytes:
    """Report as Postfix does."""
    return _crlf(f"""
Return-Path: <>
From: MAILER-DAEMON@mx.start-it.example (Mail Delivery System)
To: {envelope_sender(token, DOMAIN)}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4XyZ.1764000000/mx.start-it.example"

This is a MIME-encapsulated message.

--4XyZ.1764000000/mx.start-it.example
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.start-it.example.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients. It's attached below.

--4XyZ.1764000000/mx.start-it.example
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.start-it.example
X-Postfix-Queue-ID: 4XyZ
Arrival-Date: Tue, 24 Nov 2026 09:00:00 +0100 (CET)

Final-Recipient: rfc822; {TARGET}
Original-Recipient: rfc822;{TARGET}
Action: {action}
Status: {status}
Remote-MTA: dns; mail.start-it.example
Diagnostic-Code: smtp; {said}

--4XyZ.1764000000/mx.start-it.example
Content-Description: Undelivered Message Headers
Content-Type: text/rfc822-headers

{returned_headers(token)}
--4XyZ.1764000000/mx.start-it.example--
""")


def exchange(token: str = TOKEN, *, status: str = "5.1.10") -> bytes:
    """Report as Exchange Online does: a page in base64, then the report, then the whole mail."""
    return _crlf(f"""
From: Microsoft Outlook
\t<MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@start-it.example>
To: <{envelope_sender(token, DOMAIN)}>
Subject: Undeliverable: Slimme straatlampen
X-MS-Exchange-Message-Is-Ndr:
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="f0a1b2c3-d4e5"
MIME-Version: 1.0

--f0a1b2c3-d4e5
Content-Type: multipart/alternative; differences=Content-Type;
\tboundary="a9b8c7d6-e5f4"

--a9b8c7d6-e5f4
Content-Type: text/plain; charset="utf-8"
Content-Transfer-Encoding: base64

WW91ciBtZXNzYWdlIGNvdWxkbid0IGJlIGRlbGl2ZXJlZC4=

--a9b8c7d6-e5f4--

--f0a1b2c3-d4e5
Content-Type: message/delivery-status

Reporting-MTA: dns;AM0PR01MB0001.eurprd01.prod.exchangelabs.example
Received-From-MTA: dns;relay.{DOMAIN}
Arrival-Date: Tue, 24 Nov 2026 08:00:00 +0000

Final-Recipient: rfc822;{TARGET}
Action: failed
Status: {status}
Diagnostic-Code: smtp;550 {status} RESOLVER.ADR.RecipientNotFound; Recipient {TARGET} not found by SMTP
 address lookup

--f0a1b2c3-d4e5
Content-Type: message/rfc822

{returned_headers(token)}Content-Type: text/plain

Opdracht
--f0a1b2c3-d4e5--
""")


def gmail(token: str = TOKEN, *, action: str = "failed") -> bytes:
    """Report as Gmail does: the quota of a mailbox, which is soft though its code is final."""
    return _crlf(f"""
From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>
To: {envelope_sender(token, DOMAIN)}
Auto-Submitted: auto-replied
Subject: Delivery Status Notification (Failure)
Content-Type: multipart/report; boundary="000000000000aa"; report-type=delivery-status

--000000000000aa
Content-Type: multipart/related; boundary="000000000000bb"

--000000000000bb
Content-Type: text/html; charset="UTF-8"

<p>The recipient's inbox is out of storage space.</p>
--000000000000bb--
--000000000000aa
Content-Type: message/delivery-status

Reporting-MTA: dns; googlemail.com
Arrival-Date: Tue, 24 Nov 2026 00:00:00 -0800 (PST)
X-Original-Message-ID: <{token}@{DOMAIN}>

Final-Recipient: rfc822; {TARGET}
Action: {action}
Status: 5.2.2
Remote-MTA: dns; gmail-smtp-in.l.google.com. (2a00:1450::1a, the server for the domain.)
Diagnostic-Code: smtp; 552-5.2.2 The recipient's inbox is out of storage space and inactive.
 552 5.2.2 Please direct {TARGET} to the help center.
Last-Attempt-Date: Tue, 24 Nov 2026 00:00:01 -0800 (PST)

--000000000000aa
Content-Type: message/rfc822

{returned_headers(token)}
--000000000000aa--
""")


def complaint(token: str = TOKEN, *, feedback: str = "abuse", to: str = "fbl@opdrachten.example") -> bytes:
    """Report a complaint (RFC 5965); it comes to an address that names no delivery."""
    return _crlf(f"""
From: <feedback@mail.example>
To: <{to}>
Subject: Email Feedback Report
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="part1_13d.2e68ed54_boundary"

--part1_13d.2e68ed54_boundary
Content-Type: text/plain; charset="US-ASCII"

This is an email abuse report for an email message received from 192.0.2.1.

--part1_13d.2e68ed54_boundary
Content-Type: message/feedback-report

Feedback-Type: {feedback}
User-Agent: SomeGenerator/1.0
Version: 1
Original-Mail-From: <{envelope_sender(token, DOMAIN)}>
Original-Rcpt-To: <{TARGET}>

--part1_13d.2e68ed54_boundary
Content-Type: message/rfc822
Content-Disposition: inline

{returned_headers(token)}
Opdracht
--part1_13d.2e68ed54_boundary--
""")


def qmail(token: str = TOKEN) -> bytes:
    """Report as qmail does, in prose (QSBMF)."""
    return _crlf(f"""
From: MAILER-DAEMON@qmail.example
To: {envelope_sender(token, DOMAIN)}
Subject: failure notice

Hi. This is the qmail-send program at qmail.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<{TARGET}>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

{returned_headers(token)}
Opdracht
""")


def out_of_office(token: str = TOKEN) -> bytes:
    """Answer as somebody who is away."""
    return _crlf(f"""
From: Jan Peeters <{TARGET}>
To: {envelope_sender(token, DOMAIN)}
Subject: Afwezig
Auto-Submitted: auto-replied

Ik ben terug op 7 december.
""")
