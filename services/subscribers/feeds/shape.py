"""The SHACL shape of a member of the stream. Source: SHACL (W3C, 2017)."""

from services.domain.event import EventType
from services.subscribers.feeds.rdf import PREFIXES

_SHAPE = """
<{shape}> a sh:NodeShape ;
  sh:targetClass schema:Demand ;
  sh:nodeKind sh:IRI ;
  sh:property
    [ sh:path dcterms:isVersionOf ; sh:minCount 1 ; sh:maxCount 1 ; sh:nodeKind sh:IRI ] ,
    [ sh:path dcterms:created ; sh:minCount 1 ; sh:maxCount 1 ; sh:datatype xsd:dateTime ] ,
    [ sh:path schema:additionalType ; sh:minCount 1 ; sh:maxCount 1 ; sh:in ( {types} ) ] ,
    [ sh:path schema:version ; sh:minCount 1 ; sh:maxCount 1 ; sh:datatype xsd:integer ; sh:minInclusive 1 ] ,
    [ sh:path dcterms:identifier ; sh:minCount 1 ; sh:maxCount 1 ; sh:datatype xsd:string ] ,
    [ sh:path dcterms:title ; sh:datatype rdf:langString ; sh:uniqueLang true ] ,
    [ sh:path dcterms:abstract ; sh:datatype rdf:langString ; sh:uniqueLang true ] ,
    [ sh:path dcterms:description ; sh:datatype rdf:langString ; sh:uniqueLang true ] ,
    [ sh:path dcterms:issued ; sh:maxCount 1 ; sh:datatype xsd:dateTime ] ,
    [ sh:path schema:validThrough ; sh:maxCount 1 ; sh:datatype xsd:dateTime ] ,
    [ sh:path dcterms:subject ; sh:nodeKind sh:IRI ;
      sh:pattern "^http://data.europa.eu/cpv/cpv/[0-9]{{8}}$" ] ,
    [ sh:path dcterms:spatial ; sh:nodeKind sh:IRI ;
      sh:pattern "^http://data.europa.eu/nuts/code/[A-Z0-9]{{2,5}}$" ] ,
    [ sh:path schema:keywords ; sh:datatype xsd:string ] ,
    [ sh:path schema:url ; sh:maxCount 1 ; sh:nodeKind sh:IRI ] ,
    [ sh:path schema:buyer ; sh:maxCount 1 ; sh:node [
        sh:class schema:Organization ;
        sh:property
          [ sh:path schema:name ; sh:minCount 1 ; sh:maxCount 1 ; sh:datatype xsd:string ] ,
          [ sh:path schema:identifier ; sh:datatype xsd:string ] ,
          [ sh:path schema:url ; sh:maxCount 1 ; sh:nodeKind sh:IRI ] ] ] ,
    [ sh:path schema:priceSpecification ; sh:maxCount 1 ; sh:node [
        sh:class schema:PriceSpecification ;
        sh:property
          [ sh:path schema:price ; sh:minCount 1 ; sh:maxCount 1 ; sh:datatype xsd:decimal ] ,
          [ sh:path schema:priceCurrency ; sh:minCount 1 ; sh:maxCount 1 ; sh:pattern "^[A-Z]{{3}}$" ] ,
          [ sh:path schema:valueAddedTaxIncluded ; sh:maxCount 1 ; sh:datatype xsd:boolean ] ] ] .
"""


def shape(iri: str) -> bytes:
    """Write the shape, by this name, as Turtle."""
    prefixes = "".join(f"@prefix {name}: <{base}> .\n" for name, base in PREFIXES.items())
    types = " ".join(f'"{kind}"' for kind in EventType)
    return (prefixes + _SHAPE.format(shape=iri, types=types)).encode()
