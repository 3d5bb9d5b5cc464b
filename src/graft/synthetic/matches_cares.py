"""The kinds of nursing: nurses tell of the work, hospitals call it by its name."""

from __future__ import annotations

from dataclasses import dataclass

from graft.synthetic.matches_phrases import Phrases, phrases


@dataclass(frozen=True)
class Care:
    """A kind of nursing: what a nurse tells of it, and what a hospital calls it."""

    name: str
    family: str
    told: Phrases
    called: Phrases


CARES = (
    Care(
        "newborns",
        "critical care",
        phrases(
            "ten years with newborns in intensive care; I looked after premature babies in "
            "incubators; my patients weighed less than a bag of flour",
            "tiny infants born too early were my life; I fed preterm twins drop by drop",
        ),
        phrases(
            "our NICU has sixteen cots; level III neonatal unit; we treat neonates from 24 weeks",
            "special care for the very youngest; a neonatology ward seeks help",
        ),
    ),
    Care(
        "emergencies",
        "critical care",
        phrases(
            "I sorted casualties at the front door; road accidents were my week; I met the "
            "ambulances",
            "I took patients straight from the stretcher; sirens and crash calls were my week",
        ),
        phrases(
            "busy A&E; the ED sees 300 people a day; level I trauma centre",
            "emergency department of a large town; the casualty department is short of staff",
        ),
    ),
    Care(
        "hearts",
        "critical care",
        phrases(
            "I watched ECG strips after bypass surgery; I nursed people after heart attacks; "
            "arrhythmias and stents were my field",
            "I cared for failing hearts; patients with new valves were mine",
        ),
        phrases(
            "CCU with twelve monitors; cardiac step-down unit; coronary care beds",
            "cardiology ward; telemetry beds after infarction",
        ),
    ),
    Care(
        "operations",
        "surgery",
        phrases(
            "I passed instruments to surgeons; I scrubbed in for six years; I counted swabs at "
            "the table",
            "I stood beside the surgeon with the scalpels; sterile fields and sutures were my day",
        ),
        phrases(
            "OR team of five rooms; theatre list every weekday; perioperative nurse wanted",
            "operating department; scrub role in surgery",
        ),
    ),
    Care(
        "waking up",
        "surgery",
        phrases(
            "I watched people wake from anaesthesia; I treated pain in the first hour after the "
            "operation; I saw patients come round",
            "I sat with them while the narcosis wore off; I handled shivering after surgery",
        ),
        phrases(
            "PACU with eight bays; recovery room; post-anaesthesia care",
            "wake-up bays; phase one recovery",
        ),
    ),
    Care(
        "bones",
        "surgery",
        phrases(
            "I helped people stand on new hips; casts and traction were my trade; I mobilised "
            "knees after replacement",
            "broken legs and splints filled my days; I got fractured limbs moving again",
        ),
        phrases(
            "orthopaedic ward; joint replacement unit; trauma and orthopaedics",
            "musculoskeletal floor; arthroplasty beds",
        ),
    ),
    Care(
        "kidneys",
        "medicine",
        phrases(
            "I ran blood-cleaning sessions; I needled fistulas; people with failed kidneys were "
            "my regulars",
            "I hooked patients to the filter of their blood; fluid limits and shunts were my topic",
        ),
        phrases(
            "haemodialysis unit; renal ward; nephrology clinic",
            "dialysis chairs; renal replacement programme",
        ),
    ),
    Care(
        "cancer",
        "medicine",
        phrases(
            "I gave chemotherapy; I cared for people with tumours; I cooled scalps during "
            "infusions",
            "leukaemia patients were mine; I hung cytostatic drips",
        ),
        phrases(
            "oncology day ward; haematology and cancer centre; chemotherapy suite",
            "tumour clinic; malignancy service",
        ),
    ),
    Care(
        "brains",
        "medicine",
        phrases(
            "I helped people speak again after a clot in the brain; I scored limb weakness every "
            "hour; paralysed faces and slurred speech were my field",
            "I nursed people after a bleed in the head; I practised swallowing after brain damage",
        ),
        phrases(
            "stroke unit; neurology ward; thrombolysis beds",
            "neuro floor; acute cerebrovascular ward",
        ),
    ),
    Care(
        "old age",
        "long-term care",
        phrases(
            "I nursed people who forget their own names; I calmed confused grandparents; I worked "
            "with Alzheimer patients",
            "my residents could not tell the year; I know how to guide the very old who wander",
        ),
        phrases(
            "dementia ward; geriatric care home; memory clinic",
            "elderly care unit; gerontology floor",
        ),
    ),
    Care(
        "the dying",
        "long-term care",
        phrases(
            "I sat with the dying; I eased pain at the end of life; I supported families in their "
            "last weeks together",
            "I held hands in final hours; syringe drivers and farewells were my work",
        ),
        phrases(
            "hospice; palliative team; terminal care beds",
            "end-stage comfort service; palliative ward",
        ),
    ),
    Care(
        "minds",
        "long-term care",
        phrases(
            "I talked people out of despair; I worked with people who hear voices; addiction and "
            "panic were my field",
            "I nursed people through psychosis; suicidal teenagers trusted me",
        ),
        phrases(
            "psychiatric ward; mental health crisis team; locked behavioural unit",
            "acute psychiatry; mental illness service",
        ),
    ),
)
